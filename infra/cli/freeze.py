"""`batua freeze`: let nothing leave an owner's accounts."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.audit import operator
from infra.cli.database import in_transaction
from infra.cli.failures import exit_with
from infra.cli.output import AsJson, moment, show
from infra.cli.owners import one_owner
from shared.audit.writing import add_command
from shared.banks.account_numbers import masked_within
from shared.errors import BatuaError
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.money import Money
from shared.operators import effects

OwnerName = Annotated[str, typer.Argument(metavar="OWNER", help="A wallet id, an email address or an owner's id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for other operators. The owner never sees it.")]
MAX_NAMED = 100


def freeze(owner: OwnerName, reason: Reason, as_json: AsJson = False) -> None:
    """Let nothing leave any account of an owner: no transfer, payment, refund or withdrawal. Money in is credited."""
    try:
        answer = in_transaction(lambda session: _freeze(session, owner, reason), name="batua freeze")
        # Only now: a payout that passed its last look before the freeze was committed had been claimed before that.
        answer |= in_transaction(lambda session: _payouts(session, answer["owner_id"]), name="batua freeze")
    except BatuaError as error:
        raise exit_with(str(error)) from None
    show(answer, _lines(answer), as_json=as_json)


async def _freeze(session: AsyncSession, name: str, reason: str) -> dict[str, Any]:
    owner = await one_owner(session, name)
    accounts = await effects.freeze(session, owner.id, reason)
    facts = {"reason": masked_within(reason)}
    add_command(session, what="freeze", operator=operator(), owner_id=owner.id, facts=facts)
    return {
        "owner_id": owner.id,
        "wallet_id": owner.wallet_id,
        "is_frozen": True,
        "frozen_at": min(each.frozen_at for each in accounts if each.frozen_at is not None),
        "accounts": [
            {"id": each.id, "kind": each.kind, "balance": each.balance, "held": each.held} for each in accounts
        ],
    }


async def _payouts(session: AsyncSession, owner_id: UUID) -> dict[str, Any]:
    """Withdrawals that have not ended, the oldest first: those that stay, and those that a bank may have."""
    statement = select(Withdrawal).where(
        Withdrawal.owner_id == owner_id, Withdrawal.status.not_in(WithdrawalStatus.final())
    )
    found = list(await session.scalars(statement.order_by(Withdrawal.id).limit(MAX_NAMED)))
    return {
        "kept_back": [_shown(each) for each in found if each.status.may_be_sent],
        "may_have_left": [_shown(each) for each in found if not each.status.may_be_sent],
    }


def _shown(withdrawal: Withdrawal) -> dict[str, Any]:
    return {"id": withdrawal.id, "bank": withdrawal.bank, "amount": withdrawal.amount, "status": withdrawal.status}


def _lines(answer: dict[str, Any]) -> list[str]:
    accounts = answer["accounts"]
    total = Money(sum(each["balance"] for each in accounts))
    since = moment(answer["frozen_at"])
    lines = [
        f"{answer['wallet_id']} is frozen since {since}: nothing leaves its accounts ({len(accounts)}, {total}).",
        "Money that comes in is credited.",
    ]
    lines += [
        f"Withdrawal {each['id']} of {Money(each['amount'])} is {each['status']} and stays so."
        for each in answer["kept_back"]
    ]
    lines += [
        f"Withdrawal {each['id']} of {Money(each['amount'])} is {each['status']}: {each['bank']} may have it already."
        for each in answer["may_have_left"]
    ]
    return lines
