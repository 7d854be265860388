"""Tell the simulated banks of the on-ramps and withdrawals of the sample data, so that their books agree with ours.

What to tell is read from our own database, and a bank enters each reference once. So it can be told again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.demo.actors import NO_TLS
from infra.seed.banking import RETURNED_AFTER
from infra.seed.cast import BANK_ACCOUNTS
from infra.seed.flows import KEY_PREFIX
from shared.banks.number_keys import NumberKeys
from shared.banks.settings import BankEndpoint
from shared.clock import rfc3339
from shared.models import OnRamp, Withdrawal
from shared.models.on_ramp import OnRampStatus
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.kept_numbers import KeptNumber

TIMEOUT_SECONDS = 30.0
BATCH = 100
"""Items in one request: about 40 KiB, and a bank takes 64."""

_PAYOUT_STATUS = {
    WithdrawalStatus.SUCCEEDED: "SUCCESS",
    WithdrawalStatus.FAILED: "FAILED",
    WithdrawalStatus.REVERSED: "REVERSED",
}
Item = tuple[datetime, str, dict[str, Any]]
"""When it happened, whether it belongs to `payments` or `payouts`, and what the bank is told."""
Past = Mapping[str, Sequence[Item]]
"""What each bank must know, by its code."""


class BankNotTold(Exception):
    """A bank does not take the past; the text says which and why."""


def require_simulators(banks: Mapping[str, BankEndpoint]) -> None:
    """Raises BankNotTold unless every bank is the simulator and answers."""
    for bank in banks.values():
        _tell(bank, [])


def tell(banks: Mapping[str, BankEndpoint], past: Past) -> None:
    """Enter what is missing in the banks' books. Raises BankNotTold."""
    for code, bank in banks.items():
        items = sorted(past.get(code, ()), key=lambda item: item[0])
        for start in range(0, len(items), BATCH):
            _tell(bank, items[start : start + BATCH])


async def past_of(session: AsyncSession, return_url: str, number_keys: NumberKeys) -> Past:
    """What each bank must know of the sample data, by the bank's code."""
    found: dict[str, list[Item]] = defaultdict(list)
    on_ramps = await session.scalars(select(OnRamp).where(OnRamp.idempotency_key.startswith(KEY_PREFIX)))
    for on_ramp in on_ramps:
        found[on_ramp.bank].append(_payment(on_ramp, return_url))
    numbers = [account.account_number for account in BANK_ACCOUNTS.values()]
    indexes = [index for number in numbers for index in number_keys.indexes(number)]
    is_sample = Withdrawal.account_number_index.in_(indexes) | Withdrawal.account_number.in_(numbers)
    for withdrawal in await session.scalars(select(Withdrawal).where(is_sample, Withdrawal.status.in_(_PAYOUT_STATUS))):
        found[withdrawal.bank].append(_payout(withdrawal, number_keys))
    return found


def _payment(on_ramp: OnRamp, return_url: str) -> Item:
    assert on_ramp.settled_at is not None
    facts = {
        "reference": str(on_ramp.id),
        "user_id": str(on_ramp.owner_id),
        "amount": on_ramp.amount,
        "return_url": f"{return_url}/on-ramps/{on_ramp.id}",
        "token": on_ramp.token,
        "bank_reference": on_ramp.bank_reference,
        "status": "approved" if on_ramp.status is OnRampStatus.SUCCESS else "declined",
        "at": rfc3339(on_ramp.settled_at),
    }
    return on_ramp.settled_at, "payments", facts


def _payout(withdrawal: Withdrawal, number_keys: NumberKeys) -> Item:
    assert withdrawal.finished_at is not None
    is_reversed = withdrawal.status is WithdrawalStatus.REVERSED
    decided_at = withdrawal.finished_at - (RETURNED_AFTER if is_reversed else timedelta())
    facts = {
        "reference": str(withdrawal.id),
        "account_number": KeptNumber.of(withdrawal).whole(number_keys),
        "ifsc": withdrawal.ifsc,
        "account_holder": withdrawal.account_holder,
        "amount": withdrawal.amount,
        "user_ref": str(withdrawal.owner_id),
        "status": _PAYOUT_STATUS[withdrawal.status],
        "utr": withdrawal.utr,
        "code": withdrawal.failure_reason,
        "at": rfc3339(decided_at),
        "reversed_at": rfc3339(withdrawal.finished_at) if is_reversed else None,
    }
    return decided_at, "payouts", facts


def _tell(bank: BankEndpoint, items: Sequence[Item]) -> None:
    body = {kind: [facts for _, of_kind, facts in items if of_kind == kind] for kind in ("payments", "payouts")}
    try:
        answer = httpx.post(
            f"{bank.url}/api/past",
            json=body,
            headers={"X-Api-Key": bank.api_key.get_secret_value()},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
            verify=NO_TLS,
        )
    except httpx.HTTPError as error:
        raise BankNotTold(f"{bank.name} at {bank.url} does not answer: {error}") from None
    if not answer.is_success:
        raise BankNotTold(f"{bank.name} at {bank.url} is not a simulated bank: it answers {answer.status_code}")
