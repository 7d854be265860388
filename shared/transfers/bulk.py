"""Many transfers of one person in one request: salaries, a shared bill. One key, one transaction.

The PIN was checked by the caller, before any of this. Amounts in paise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from shared.config import MovementLimits
from shared.errors import BatuaError
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim
from shared.ledger.accounts import wallet_of
from shared.ledger.limits import SendingLimit
from shared.ledger.parties import Holder, holders, holders_of_wallets
from shared.ledger.post import post
from shared.ledger.rules import Posted, Rejected, Transfer
from shared.outbox.messages import write
from shared.transfers.commands import as_id, messages_for, sending_limits, transfer_between
from shared.transfers.errors import AnotherRefused, RecipientNotFound
from shared.transfers.views import Ends, receipt_for

OK, CREATED = 200, 201
MAX_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class Item:
    """One of them: `amount` paise for `to`, a wallet id or the id of one of the owner's accounts."""

    to: str
    amount: int
    note: str | None = None


Outcome = tuple[Posted, Ends] | BatuaError
Describe = Callable[[BatuaError], Mapping[str, Any]]
"""How a refusal is told: a mapping with its `status`."""


async def send_all(
    session: AsyncSession,
    *,
    owner_id: UUID,
    items: Sequence[Item],
    all_or_nothing: bool,
    claim: Claim,
    limits: MovementLimits,
    describe: Describe,
) -> Answer:
    """Send each item from the owner's wallet, in order, each seeing those before it; a refused one stops no other.

    With `all_or_nothing` one refused item refuses them all. Costs the same few statements however many there are.
    The answer is kept under the key, whatever became of the items. Raises RequestInFlight, IdempotencyKeyReused.
    """
    assert 1 <= len(items) <= MAX_ITEMS
    known = await store.claim_one(session, claim)
    if known is not None:
        return known
    planned = await _plan(session, owner_id, items, limits)
    async with session.begin_nested() as savepoint:
        outcomes = await _post(session, planned)
        if all_or_nothing:
            outcomes = await _all_or_none(savepoint, outcomes)
    messages = [outcome for outcome in outcomes if not isinstance(outcome, BatuaError)]
    await write(session, [message for posted, ends in messages for message in messages_for(ends, posted)])
    results = [_result(index, outcome, owner_id, describe) for index, outcome in enumerate(outcomes)]
    answer = Answer(OK, {"results": results})
    await store.finish(session, [(claim, answer)])
    return answer


async def _plan(
    session: AsyncSession, owner_id: UUID, items: Sequence[Item], limits: MovementLimits
) -> list[tuple[Transfer, Ends] | BatuaError]:
    wallet = await wallet_of(session, owner_id)
    ids = {item.to: account_id for item in items if (account_id := as_id(item.to)) is not None}
    by_account = await holders(session, {wallet.id, *ids.values()})
    recipients: dict[str, Holder] = await holders_of_wallets(session, {item.to for item in items} - ids.keys())
    for to, account_id in ids.items():
        holder = by_account.get(account_id)
        if holder is not None and holder.owner_id == owner_id:  # an id names one's own accounts only
            recipients[to] = holder
    limit = SendingLimit(wallet.id, sending_limits(limits))
    planned: list[tuple[Transfer, Ends] | BatuaError] = []
    for item in items:
        recipient = recipients.get(item.to)
        if recipient is None:
            planned.append(RecipientNotFound())
            continue
        ends = Ends(by_account[wallet.id], recipient)
        transfer = transfer_between(ends, amount=item.amount, note=item.note, initiated_by=owner_id, limit=limit)
        planned.append((transfer, ends))
    return planned


async def _post(session: AsyncSession, planned: Sequence[tuple[Transfer, Ends] | BatuaError]) -> list[Outcome]:
    posted = iter(await post(session, [plan[0] for plan in planned if not isinstance(plan, BatuaError)]))
    outcomes: list[Outcome] = []
    for plan in planned:
        if isinstance(plan, BatuaError):
            outcomes.append(plan)
            continue
        outcome = next(posted)
        outcomes.append(outcome.error if isinstance(outcome, Rejected) else (outcome, plan[1]))
    return outcomes


async def _all_or_none(savepoint: AsyncSessionTransaction, outcomes: list[Outcome]) -> list[Outcome]:
    if not any(isinstance(outcome, BatuaError) for outcome in outcomes):
        return outcomes
    await savepoint.rollback()
    return [outcome if isinstance(outcome, BatuaError) else AnotherRefused() for outcome in outcomes]


def _result(index: int, outcome: Outcome, owner_id: UUID, describe: Describe) -> dict[str, Any]:
    if isinstance(outcome, BatuaError):
        problem = describe(outcome)
        return {"index": index, "status": problem["status"], "problem": problem}
    posted, ends = outcome
    return {"index": index, "status": CREATED, "transfer": receipt_for(posted, ends, owner_id).body()}
