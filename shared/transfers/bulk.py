"""Many transfers of one owner in one request, such as salaries: one key, one database transaction. Amounts in paise.

The caller has checked the PIN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.config import MovementLimits
from shared.db.engine import SessionMaker
from shared.errors import BatuaError
from shared.idempotency import store
from shared.idempotency.claims import Answer
from shared.idempotency.keyed_request import KeyedRequest
from shared.idempotency.marks import Marks
from shared.ledger.accounts import wallet_of
from shared.ledger.limits import SendingLimit
from shared.ledger.parties import Holder, holders, holders_of_wallets
from shared.ledger.post import post
from shared.ledger.rules import Outcome, Posted, Rejected, Transfer
from shared.outbox.messages import write
from shared.transfers.errors import AnotherItemRejected, RecipientNotFound
from shared.transfers.limits import sending_limits
from shared.transfers.planning import account_id_in, mail_to_recipient, transfer_between
from shared.transfers.views import BulkOutcome, Ends, receipt_for

MAX_ITEMS = 1000

_Planned = tuple[Transfer, Ends] | BatuaError
_Decided = tuple[Posted, Ends] | BatuaError


@dataclass(frozen=True, slots=True)
class BulkItem:
    """One transfer: `amount` to `to`, which is a wallet id or the id of one of the owner's accounts.

    The names of the fields are part of the request's fingerprint.
    """

    to: str
    amount: int
    note: str | None = None


async def send_many(
    request: KeyedRequest[Sequence[BulkOutcome]],
    *,
    items: Sequence[BulkItem],
    all_or_nothing: bool,
    sessionmaker: SessionMaker,
    marks: Marks,
    limits: MovementLimits,
) -> Answer:
    """Send each item from the owner's wallet, in order; each sees the items before it. Answers an outcome per item.

    A rejected item does not stop the others; with `all_or_nothing` one rejected item rejects them all. The answer is
    stored under the key in either case. The number of SQL statements does not depend on the number of items.
    Raises IdempotencyKeyReused, RequestInFlight.
    """
    assert 1 <= len(items) <= MAX_ITEMS
    claim = request.claim(items=[asdict(item) for item in items], all_or_nothing=all_or_nothing)

    async def work() -> Answer:
        async with sessionmaker.begin() as session:
            known = await store.claim_one(session, claim)
            if known is not None:
                return known
            planned = await _plan(session, request.owner_id, items, limits)
            decided = await _post_planned(session, planned, all_or_nothing=all_or_nothing)
            answer = request.answer([_outcome(each, request.owner_id) for each in decided])
            await store.finish(session, [(claim, answer)])
            return answer

    return await marks.run(claim, work)


async def _plan(
    session: AsyncSession, owner_id: UUID, items: Sequence[BulkItem], limits: MovementLimits
) -> list[_Planned]:
    wallet = await wallet_of(session, owner_id)
    ids = {item.to: account_id for item in items if (account_id := account_id_in(item.to)) is not None}
    by_account = await holders(session, {wallet.id, *ids.values()})
    recipients: dict[str, Holder] = await holders_of_wallets(session, {item.to for item in items} - ids.keys())
    for to, account_id in ids.items():
        holder = by_account.get(account_id)
        if holder is not None and holder.owner_id == owner_id:  # an id names an account of the owner's own
            recipients[to] = holder
    limit = SendingLimit(wallet.id, sending_limits(limits))
    planned: list[_Planned] = []
    for item in items:
        recipient = recipients.get(item.to)
        if recipient is None:
            planned.append(RecipientNotFound())
            continue
        ends = Ends(by_account[wallet.id], recipient)
        transfer = transfer_between(ends, amount=item.amount, note=item.note, initiated_by=owner_id, limit=limit)
        planned.append((transfer, ends))
    return planned


async def _post_planned(
    session: AsyncSession, planned: Sequence[_Planned], *, all_or_nothing: bool
) -> Sequence[_Decided]:
    async with session.begin_nested() as savepoint:
        outcomes = iter(await post(session, [each[0] for each in planned if not isinstance(each, BatuaError)]))
        decided = [each if isinstance(each, BatuaError) else _decide(next(outcomes), each[1]) for each in planned]
        if all_or_nothing and any(isinstance(each, BatuaError) for each in decided):
            await savepoint.rollback()
            decided = [each if isinstance(each, BatuaError) else AnotherItemRejected() for each in decided]
    posted = [each for each in decided if not isinstance(each, BatuaError)]
    await write(session, [message for each, ends in posted for message in mail_to_recipient(ends, each)])
    return decided


def _decide(outcome: Outcome, ends: Ends) -> _Decided:
    return outcome.error if isinstance(outcome, Rejected) else (outcome, ends)


def _outcome(decided: _Decided, reader: UUID) -> BulkOutcome:
    return decided if isinstance(decided, BatuaError) else receipt_for(*decided, reader)
