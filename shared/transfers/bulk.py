"""Many transfers of one owner in one request, such as salaries: one key, one database transaction. Amounts in paise.

The caller has checked the PIN.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth import email_confirmation
from shared.config import MovementLimits
from shared.db.engine import SessionMaker
from shared.db.retries import in_transaction
from shared.db.transaction import SessionTransaction
from shared.errors import BatuaError
from shared.idempotency.claims import Answer
from shared.idempotency.keyed_request import KeyedRequest
from shared.idempotency.marks import Marks
from shared.ledger.accounts import SPENDABLE_KINDS
from shared.ledger.group_commit import GroupCommit
from shared.ledger.limits import SendingLimit
from shared.ledger.parties import Holder, parties_named
from shared.ledger.post import Conclusion, Together
from shared.ledger.rules import Outcome, Posted, Rejected, Transfer
from shared.quotas.counts import Place
from shared.quotas.errors import TooManySmallTransfers
from shared.quotas.quotas import Quotas
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
    read_sessionmaker: SessionMaker,
    group_commit: GroupCommit,
    marks: Marks,
    limits: MovementLimits,
    quotas: Quotas,
    requires_verified_email: bool,
) -> Answer:
    """Send each item from the owner's wallet, in order; each sees the items before it. Answers an outcome per item.

    A rejected item does not stop the others; with `all_or_nothing` one rejected item rejects them all. The answer is
    stored under the key in either case. The number of SQL statements does not depend on the number of items.
    An item that exceeds the quota of small transfers is rejected.
    Raises IdempotencyKeyReused, RequestInFlight, TooManyBulkRequests, TooManyKeys; EmailUnverified if an item is for
    another and `requires_verified_email`. Raises LedgerBusy: the transfers may
    still happen; retry with the same key to find out.
    """
    assert 1 <= len(items) <= MAX_ITEMS
    fields = [{"to": item.to, "amount": item.amount, "note": item.note} for item in items]
    claim = request.claim(items=fields, all_or_nothing=all_or_nothing)

    async def plan(session: AsyncSession) -> list[_Planned]:
        planned = await _plan(session, request.owner_id, items, limits)
        if requires_verified_email and _is_any_for_others(planned):
            await email_confirmation.require(session, request.owner_id)
        return planned

    async def work() -> Answer:
        planned = await in_transaction(read_sessionmaker, plan)  # it holds no connection while the money moves
        places = _take_places(planned, request.owner_id, quotas)
        decided: list[_Decided] = []

        def conclude(outcomes: Sequence[Outcome]) -> Conclusion:
            decided[:] = _decide(planned, all_or_nothing, outcomes)
            return _conclude(request, decided)

        commands = [each[0] for each in planned if not isinstance(each, BatuaError)]
        is_new = False
        try:
            answer = await group_commit.post_together(Together(claim, commands, conclude))
            is_new = not answer.is_replayed
        finally:
            for index, place in places.items():
                is_sent = is_new and not isinstance(decided[index], BatuaError)
                place.keep() if is_sent else place.give_back()
        if is_new and any(isinstance(each, TooManySmallTransfers) for each in planned):
            quotas.small_transfers.audit(request.owner_id)
        return answer

    return await marks.run(claim, work, quotas=quotas.bulk)


async def _plan(
    session: AsyncSession, owner_id: UUID, items: Sequence[BulkItem], limits: MovementLimits
) -> list[_Planned]:
    payer, recipients = await _find_parties(session, owner_id, {item.to for item in items})
    ends = {to: Ends(payer, recipient) for to, recipient in recipients.items()}
    limit = SendingLimit(payer.account_id, sending_limits(limits))
    planned: list[_Planned] = []
    for item in items:
        between = ends.get(item.to)
        if between is None:
            planned.append(RecipientNotFound())
        else:
            transfer = transfer_between(between, amount=item.amount, note=item.note, initiated_by=owner_id, limit=limit)
            planned.append((transfer, between))
    return planned


def _is_any_for_others(planned: Sequence[_Planned]) -> bool:
    return any(not isinstance(each, BatuaError) and not each[1].is_internal for each in planned)


def _take_places(planned: list[_Planned], owner_id: UUID, quotas: Quotas) -> dict[int, Place]:
    """The place of each small transfer in the quota, by its index. Those beyond the quota are rejected."""
    places: dict[int, Place] = {}
    for index, each in enumerate(planned):
        if not isinstance(each, BatuaError) and each[0].amount < quotas.small_below and not each[1].is_internal:
            place = quotas.small_transfers.take(owner_id)
            if place is None:
                planned[index] = quotas.small_transfers.refusal(owner_id)
            else:
                places[index] = place
    return places


async def _find_parties(session: AsyncSession, owner_id: UUID, wanted: Set[str]) -> tuple[Holder, dict[str, Holder]]:
    """The owner's wallet; and whom these wallet ids, or ids of the owner's own accounts, name."""
    ids = {to: account_id for to in wanted if (account_id := account_id_in(to)) is not None}
    handles = list(wanted - ids.keys())
    named = await parties_named(SessionTransaction(session), owner_id, handles=handles, account_ids=list(ids.values()))
    own = {holder.account_id: holder for holder in named if holder.owner_id == owner_id}
    wallets = {holder.wallet_id: holder for holder in named if holder.kind in SPENDABLE_KINDS}
    (payer,) = (holder for holder in own.values() if holder.kind in SPENDABLE_KINDS)
    recipients = {to: wallets[to] for to in handles if to in wallets}
    return payer, recipients | {to: own[account_id] for to, account_id in ids.items() if account_id in own}


def _decide(planned: Sequence[_Planned], all_or_nothing: bool, outcomes: Sequence[Outcome]) -> list[_Decided]:
    """What becomes of each item, given the outcomes of those that were posted."""
    following = iter(outcomes)
    decided = [each if isinstance(each, BatuaError) else _decided(next(following), each[1]) for each in planned]
    if all_or_nothing and any(isinstance(each, BatuaError) for each in decided):
        return [each if isinstance(each, BatuaError) else AnotherItemRejected() for each in decided]
    return decided


def _decided(outcome: Outcome, ends: Ends) -> _Decided:
    return outcome.error if isinstance(outcome, Rejected) else (outcome, ends)


def _outcome(decided: _Decided, reader: UUID) -> BulkOutcome:
    return decided if isinstance(decided, BatuaError) else receipt_for(*decided, reader)


def _conclude(request: KeyedRequest[Sequence[BulkOutcome]], decided: Sequence[_Decided]) -> Conclusion:
    """The answer to the request."""
    sent = [each for each in decided if not isinstance(each, BatuaError)]
    return Conclusion(
        request.answer([_outcome(each, request.owner_id) for each in decided]),
        [message for posted, ends in sent for message in mail_to_recipient(ends, posted)],
        moves_money=bool(sent),
    )
