"""Compare our settlement account with the bank's statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.banks.messages import StatementItem
from shared.ledger import system_accounts
from shared.models import Account
from shared.reconciliation.bank_book import our_lines, under_way
from shared.reconciliation.comparison import Explained, compare, signed


@dataclass(frozen=True, slots=True)
class BankResult:
    """For each rule the rows that break it, and the lines that a running payment explains."""

    offenders: Mapping[str, Sequence[Mapping[str, Any]]]
    explained: list[Explained]


async def check_bank(
    session: AsyncSession, bank: str, items: Sequence[StatementItem], *, cut: datetime | None
) -> BankResult:
    """Compare the whole statement with the whole settlement account. Lines after `cut` are newer than our snapshot."""
    ours = await our_lines(session, bank)
    comparison = compare(items, ours, expected=await under_way(session, bank), bank_cut=cut)
    balance = await session.scalar(select(Account.balance).where(Account.id == system_accounts.SETTLEMENT[bank])) or 0
    surplus = sum(line.surplus for line in comparison.explained)
    return BankResult(
        {
            f"{bank}: the statement adds up from zero": _broken_running_balances(items),
            f"{bank}: our settlement account equals the bank's book, line by line": [
                asdict(difference) for difference in comparison.differences
            ],
            f"{bank}: the balance at the bank is ours": _balance_difference(items, balance, surplus),
        },
        comparison.explained,
    )


def _broken_running_balances(items: Sequence[StatementItem]) -> list[dict[str, Any]]:
    broken: list[dict[str, Any]] = []
    balance = 0
    for item in items:
        balance += signed(item)
        if balance != item.balance_after:
            broken.append({"at": item.at, "reference": item.reference, "expected": balance, "bank": item.balance_after})
            balance = item.balance_after
    return broken


def _balance_difference(items: Sequence[StatementItem], settlement: int, surplus: int) -> list[dict[str, Any]]:
    """The settlement account mirrors the account at the bank: money at the bank is a negative balance here."""
    at_bank = items[-1].balance_after if items else 0
    if at_bank == surplus - settlement:
        return []
    return [{"bank_balance": at_bank, "our_balance": -settlement, "explained": surplus}]
