"""Put a withdrawal into its owner's queue: lock and look, look at the queue, and write everything by one statement.

The wallet's lock makes an owner's requests come one after the other. Lock order: the key, which is only tried, then the
wallet.
"""

from __future__ import annotations

from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from shared import spans
from shared.audit.kinds import Kind
from shared.audit.trail import trail
from shared.auth.email_confirmation import AWAITED
from shared.auth.errors import EmailUnverified
from shared.banks.account_numbers import is_account_number, is_ifsc
from shared.banks.messages import PayoutRequest
from shared.banks.number_keys import NumberKeys
from shared.banks.table import BANKS
from shared.config import MovementLimits
from shared.db.columns import sql_values
from shared.db.transaction import SessionTransaction, Transaction
from shared.db.writes import NotAllWritten, Write, write_all
from shared.errors import BatuaError
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim
from shared.idempotency.errors import RequestInFlight
from shared.idempotency.keyed_request import KeyedRequest
from shared.ids import new_id
from shared.ledger.post import decide_on
from shared.ledger.rules import AccountState, Books, PlaceHold, Rejected
from shared.ledger.sql import LOCK_WALLET
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.wakeups.commits import wake_after_commit
from shared.withdrawals import timeline
from shared.withdrawals.errors import TooManyQueued, WithdrawalInvalid
from shared.withdrawals.events import EventKind
from shared.withdrawals.kept_numbers import encrypt_number
from shared.withdrawals.limits import WITHDRAWN, withdrawal_limits
from shared.withdrawals.views import WithdrawalView, view_of

# The wallet of a key that is not free is not waited for: whether there is one is found out first.
_LOCK = f"""
    WITH known AS MATERIALIZED ({store.LOOK_UP}),
    wallet AS MATERIALIZED ({LOCK_WALLET.format(owner_id="$3", condition="NOT EXISTS (SELECT FROM known)")})
    SELECT known.fingerprint, known.field_hashes, known.status, known.body, {AWAITED}, wallet.*
    FROM (SELECT $3::uuid AS owner_id) AS asked LEFT JOIN known ON true LEFT JOIN wallet ON true
"""  # noqa: S608 - constants of this code
# After the lock, by a statement of its own: one that waited for a lock sees the rows of others as they were before.
# Two partial indexes find the unfinished ones, however long the history is.
_LOOK = f"""
    SELECT (SELECT count(*) FROM withdrawals WHERE owner_id = $1 AND status = 'queued')
           + (SELECT count(*) FROM withdrawals
              WHERE owner_id = $1 AND status IN {sql_values(WithdrawalStatus.active())}),
           ({WITHDRAWN})
"""  # noqa: S608 - statuses of the model
_COLUMNS = (
    *("id", "owner_id", "account_id", "bank", "account_number", "account_number_encrypted", "account_number_index"),
    *("ifsc", "account_holder", "amount", "currency", "status", "hold_id", "attempts", "retries", "created_at"),
    "traceparent",
)
"""Those of a new row; the others have nothing to say yet."""
_INSERT = f"""
    INSERT INTO withdrawals ({", ".join(_COLUMNS)})
    VALUES ({", ".join(f"${number}" for number, _ in enumerate(_COLUMNS, 1))})
"""  # noqa: S608 - the columns above


async def claim_and_queue(
    session: AsyncSession,
    request: KeyedRequest[WithdrawalView],
    claim: Claim,
    withdrawal: Withdrawal,
    *,
    number_keys: NumberKeys,
    limits: MovementLimits,
    max_unfinished: int,
    requires_verified_email: bool,
) -> Answer:
    """Hold the money and queue `withdrawal`, which gets what follows from the lock: its account, its time, its id.

    A known key gets its first answer. Raises what `commands.request` raises.
    """
    transaction = SessionTransaction(session)
    locked = await _lock(transaction, claim)
    if isinstance(locked, Answer):
        return locked
    wallet, is_unverified = locked
    if is_unverified and requires_verified_email:
        raise EmailUnverified
    _require_valid(withdrawal)
    hold = PlaceHold(new_id(), wallet.id, withdrawal.amount, wallet.currency)
    decided = decide_on(Books({wallet.id: wallet}), [hold])
    (outcome,) = decided.outcomes
    if isinstance(outcome, Rejected):
        raise outcome.error
    today = withdrawal_limits(limits, decided.at)
    ((unfinished, withdrawn),) = await transaction.fetch(_LOOK, withdrawal.owner_id, today.day.starts_at)
    _require_room_in_queue(withdrawal.owner_id, unfinished, max_unfinished)
    today.check(withdrawal.amount, withdrawn)

    # Still under the lock: ids are in the order of the queue, and the row counts on the day whose limit was checked.
    withdrawal.id, withdrawal.created_at = new_id(), decided.at
    withdrawal.account_id, withdrawal.currency, withdrawal.hold_id = wallet.id, wallet.currency, hold.hold_id
    withdrawal.traceparent = spans.traceparent()
    encrypt_number(withdrawal, number_keys)
    answer = request.answer(view_of(withdrawal, position=unfinished + 1))
    queued = timeline.NewEvent(withdrawal.id, withdrawal.status, EventKind.QUEUED)
    row = Write(_INSERT, tuple(getattr(withdrawal, name) for name in _COLUMNS), 1)
    stored = store.answered([(claim, answer)], at=decided.at)
    try:
        await write_all(transaction, [decided.posting, row, timeline.rows_of([queued]), stored])
    except NotAllWritten:
        raise RequestInFlight from None  # a copy was committed after the look for the key: `Marks.run` finds its answer
    wake_after_commit(session, [wallet.id])
    return answer


async def _lock(transaction: Transaction, claim: Claim) -> Answer | tuple[AccountState, bool]:
    """Lock the key and then the wallet; answers the wallet, and whether the owner's address is still to be confirmed.

    Answers the first answer to a known key, and locks no wallet then. Raises IdempotencyKeyReused, RequestInFlight.
    """
    rows = await transaction.fetch(_LOCK, [claim.owner_id], [claim.key], claim.owner_id)
    ((fingerprint, field_hashes, status, body, is_unverified, *wallet),) = rows
    if wallet[0] is not None:
        return AccountState(*wallet), is_unverified
    earlier = store.Known.of(fingerprint, field_hashes, status, body).answer_to(claim)
    if isinstance(earlier, BatuaError):
        raise earlier
    return earlier


def _require_room_in_queue(owner_id: UUID, unfinished: int, max_unfinished: int) -> None:
    if unfinished >= max_unfinished:
        trail.record(Kind.LIMIT_HIT, what="withdrawals", owner_id=owner_id)
        raise TooManyQueued(max_unfinished)


def _require_valid(withdrawal: Withdrawal) -> None:
    """What cannot be sent to the bank is not accepted, so that a send cannot fail on it later."""
    wrong: dict[str, str] = {}
    if withdrawal.bank not in BANKS:
        wrong["bank"] = f"must be one of {', '.join(BANKS)}"
    if not is_account_number(withdrawal.account_number):
        wrong["account_number"] = "must be 6 to 18 digits"
    if not is_ifsc(withdrawal.ifsc):
        wrong["ifsc"] = "must be four capital letters, a zero and six letters or digits, like HDFC0000001"
    elif withdrawal.bank in BANKS and not BANKS[withdrawal.bank].has_branch(withdrawal.ifsc):
        bank = BANKS[withdrawal.bank]
        wrong["ifsc"] = f"must be a branch of {bank.name}: its codes begin with {bank.ifsc_prefix}0"
    try:
        PayoutRequest(
            reference="new",
            account_number=withdrawal.account_number,
            ifsc=withdrawal.ifsc,
            account_holder=withdrawal.account_holder,
            amount=withdrawal.amount,
        )
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            wrong.setdefault(str(problem["loc"][0]), problem["msg"])
    if wrong:
        raise WithdrawalInvalid(wrong)
