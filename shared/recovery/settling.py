"""Settle what a bank did after the moment to which the database was restored, reference by reference.

A line of the bank's statement carries our reference and no owner. Whose it is, is what the bank repeats of what we told
it when we opened the session or sent the payout; it is never guessed. What the bank cannot tell is parked in suspense.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.audit.kinds import RECOVERY_SETTLE
from shared.audit.writing import add_command
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, Refused
from shared.banks.messages import PayoutAnswer, SessionState
from shared.banks.statements import whole_statement
from shared.db.engine import SessionMaker
from shared.db.retries import in_transaction
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.errors import AccountFrozen, InsufficientFunds
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models.webhook_delivery import Verdict
from shared.on_ramps.lost import settle_approved
from shared.reconciliation import findings
from shared.reconciliation.bank_book import parked_credits
from shared.reconciliation.comparison import Difference
from shared.reconciliation.reconcile import LOOKBACK, reconcile_bank
from shared.recovery.lacking import Books, Lacking, Read, read, read_anew
from shared.withdrawals.facts import Paid, PayoutReversed
from shared.withdrawals.lost import find_payer, settle_paid, write_again

ALREADY_BOOKED = "our book has a debit under it already"
MARGIN = findings.RECOVERED_BEFORE
"""So long before the restored moment, and beyond now, a line of the bank is looked at."""


class Result(StrEnum):
    """What became of one reference of the bank."""

    CREDITED = "credited"
    """The on-ramp is in its owner's wallet."""
    DEBITED = "debited"
    """The payout is booked from its owner's account; one that came back, in both directions."""
    KNOWN = "known already"
    PARKED = "parked in suspense"
    """The bank does not say whose it is, the database does not know the owner, or the owner has too little."""
    ASKED_LATER = "asked about before it is sent"
    """The withdrawal is in the queue, and the bank gave no answer: the worker asks again before it sends anything."""
    DIFFERS = "amount differs"
    """Both books have a line, with other amounts: nothing is booked until the bank has corrected its own."""
    LEFT = "left"
    """The bank gave no answer, or is still at work: settle again later."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A line of the statement (paise, DEBIT is money that left), what was done, and why.

    A payout that came back is one, and so is what was known already of a reference.
    """

    bank: str
    reference: str
    direction: str
    amount: int
    result: Result
    reason: str = ""
    owner_id: UUID | None = None


@dataclass(slots=True)
class BankReport:
    """One bank: what was settled, and how many references there are beyond the limit of this run."""

    bank: str
    settled: list[Settled] = field(default_factory=list)
    more: int = 0
    under_way: int = 0
    """Lines of on-ramps and withdrawals that the database knows: the worker asks the bank about them."""

    @property
    def left(self) -> list[str]:
        """References that are to be settled again."""
        return [one.reference for one in self.settled if one.result is Result.LEFT]

    @property
    def differing(self) -> list[str]:
        """References that the bank has to correct."""
        return [one.reference for one in self.settled if one.result is Result.DIFFERS]


@dataclass(frozen=True, slots=True)
class Settling:
    """One bank's part of a recovery. `operator` is who gave the command, for the audit trail."""

    sessionmaker: SessionMaker
    client: BankClient
    bank: str
    restored_to: datetime
    operator: str

    async def look(self) -> Read:
        """The bank's lines since the restored moment that our book lacks. Raises what `BankClient.statement` raises."""
        return await self._read(in_queue=False)

    async def unsettled(self) -> list[Lacking]:
        """References with lines that our book lacks, that are not parked and that no worker will ask about.

        Raises what `BankClient.statement` does.
        """
        found = await self._read(in_queue=True)
        in_suspense = await in_transaction(self.sessionmaker, lambda session: parked_credits(session, self.bank))
        parked = Counter((line.reference, line.amount) for line in in_suspense)
        return [lacking for lacking in found.lacking.values() if not _is_parked(lacking.lines, parked)]

    async def _read(self, *, in_queue: bool) -> Read:
        since = self.restored_to - MARGIN
        async with self.sessionmaker() as session:
            earliest = await findings.earliest_begin(session, self.bank, since)
        # What another recovery has booked since, the bank booked long before: both books are read from then on.
        read_from = min(since, earliest) - LOOKBACK
        # Beyond now: the bank's clock, or this machine's, may be wrong, and what is not read would never be settled.
        items = await whole_statement(self.client, read_from, clock.now() + MARGIN)
        return await in_transaction(
            self.sessionmaker,
            lambda session: read(session, self.bank, items, since=since, read_from=read_from, in_queue=in_queue),
        )

    async def settle(self, limit: int, *, park_unanswered: bool = False) -> BankReport:
        """Settle at most `limit` references, the longest waiting first, each in a transaction of its own.

        What is settled is seen in the books, so a repeat settles nothing twice; where the answer to a commit is lost,
        the repeat reports KNOWN. At the end, unmatched credits are parked. With `park_unanswered`, so is what the bank
        gives no answer about.
        """
        found = await self.look()
        due = sorted(found.lacking.values(), key=lambda lacking: lacking.lines[0].at)
        report = BankReport(self.bank, more=max(0, len(due) - limit), under_way=found.under_way)
        for lacking in due[:limit]:
            try:
                report.settled += await self._settle(lacking)
            except (BankFailed, Refused) as error:
                reason = f"no answer: {error.reason}"
                if park_unanswered:
                    report.settled += await self._park(lacking, reason)
                else:
                    report.settled.append(self._done(lacking.lines[0], Result.LEFT, reason))
        if report.left or report.more:
            report.settled = await self._without_unparked(report.settled)
        else:
            await reconcile_bank(
                self.sessionmaker,
                self.client,
                self.bank,
                since=self.restored_to - MARGIN,
                until=clock.now() + timedelta(seconds=1),
                grace=timedelta(0),
            )
        return report

    async def _without_unparked(self, settled: Sequence[Settled]) -> list[Settled]:
        """What came in is parked only once nothing is left: until then, it is left too."""
        in_suspense = await in_transaction(self.sessionmaker, lambda session: parked_credits(session, self.bank))
        parked = Counter((line.reference, line.amount) for line in in_suspense)
        said: list[Settled] = []
        for one in settled:
            name = (one.reference, one.amount)
            if one.result is not Result.PARKED or one.direction == "DEBIT":
                said.append(one)
            elif parked[name] > 0:
                parked[name] -= 1
                said.append(one)
            else:
                said.append(replace(one, result=Result.LEFT, reason=f"parked when nothing else is left: {one.reason}"))
        return said

    async def _settle(self, lacking: Lacking) -> list[Settled]:
        if lacking.our_id is None:
            return await self._park(lacking, "not a reference of ours")
        # The first line tells what it began as: money that came in was an on-ramp, money that left a payout. A credit
        # alone may also be a payout of before that came back since.
        first = lacking.lines[0]
        state = await self.client.session_of(lacking.reference) if first.direction == "CREDIT" else None
        if state is not None:
            return await self._credit(lacking.our_id, state, lacking)
        answer = await self.client.enquire(lacking.reference)
        if answer is None:
            return await self._park(lacking, "the bank knows no payout of this reference")
        return await self._debit(answer, lacking)

    async def _credit(self, our_id: UUID, state: SessionState, lacking: Lacking) -> list[Settled]:
        if state.status != "approved" or state.amount != lacking.lines[0].bank_amount:
            return await self._park(lacking, f"its session is {state.status}, with {state.amount} paise")

        async def credit(session: AsyncSession) -> list[Settled]:
            books = await read_anew(session, lacking)
            if books.differs is not None or not books.lines:
                return await self._book_from_suspense(session, lacking, books, "")
            outcome = await settle_approved(session, self.bank, our_id, state)
            if outcome.verdict is not Verdict.SETTLED:
                has_it = outcome.verdict is Verdict.DUPLICATE
                reason = (
                    "its on-ramp is credited already" if has_it else f"its owner is not known here ({outcome.verdict})"
                )
                return await self._book_from_suspense(session, lacking, books, reason)
            owner_id = UUID(state.user_id)
            self._audit(session, books.lines[0], Result.CREDITED, owner_id)
            done = self._done(books.lines[0], Result.CREDITED, owner_id=owner_id)
            return [done, *await self._book_rest(session, lacking, "its on-ramp is credited")]

        try:
            return await in_transaction(self.sessionmaker, credit)
        except IntegrityError:
            return await self._park(lacking, "the bank gave its token twice")

    async def _debit(self, answer: PayoutAnswer, lacking: Lacking) -> list[Settled]:
        fact = _fact_of(answer)
        if answer.status == "FAILED":
            # The bank contradicts itself. No owner is named: by its word, it has paid no one.
            return await self._park(lacking, "its payout failed, says the bank")
        if fact is None:
            return [self._done(lacking.lines[0], Result.LEFT, f"its payout is {answer.status}")]
        try:
            return await in_transaction(
                self.sessionmaker, lambda session: self._book_payout(session, answer, fact, lacking)
            )
        except (InsufficientFunds, AccountFrozen) as error:
            why = f"has {error.available} paise" if isinstance(error, InsufficientFunds) else "is frozen"
            return await self._park(lacking, f"its owner {answer.user_ref} {why}", answer)

    async def _book_payout(
        self,
        session: AsyncSession,
        answer: PayoutAnswer,
        fact: Paid | PayoutReversed,
        lacking: Lacking,
    ) -> list[Settled]:
        """Book the one debit of the payout from its owner, or its return to them, and all else from suspense."""
        books = await read_anew(session, lacking)
        if books.differs is not None or not books.lines:
            return await self._book_from_suspense(session, lacking, books, "")
        line = _line_of_payout(books, answer)
        if line is None:
            reason = ALREADY_BOOKED if books.has_debit else f"its payout has {answer.amount} paise"
            return await self._book_from_suspense(session, lacking, books, reason, answer)
        why_not, owner_id = await self._book_from_owner(session, answer, fact, books, line)
        if why_not is not None:
            return await self._book_from_suspense(session, lacking, books, why_not, answer)
        self._audit(session, line, Result.DEBITED, owner_id)
        done = self._done(line, Result.DEBITED, owner_id=owner_id)
        return [done, *await self._book_rest(session, lacking, ALREADY_BOOKED, answer)]

    async def _book_from_owner(
        self,
        session: AsyncSession,
        answer: PayoutAnswer,
        fact: Paid | PayoutReversed,
        books: Books,
        line: Difference,
    ) -> tuple[str | None, UUID | None]:
        """Do what follows for the withdrawal. Answers why not, and its owner if it is written again."""
        if books.is_parked:
            return "it was parked before", None
        withdrawal, our_id = books.withdrawal, UUID(line.reference)
        if withdrawal is not None:
            if (withdrawal.bank, withdrawal.amount) != (self.bank, line.bank_amount):
                return f"its withdrawal is of {withdrawal.amount} paise at {withdrawal.bank}", None
            verdict = await settle_paid(session, our_id, fact)
            return (None if verdict is Verdict.SETTLED else f"its withdrawal says otherwise ({verdict})"), None
        payer = await find_payer(session, answer)
        if payer is None:
            return "the bank names no owner who is known here", None
        await write_again(
            session,
            bank=self.bank,
            withdrawal_id=our_id,
            payer=payer,
            amount=line.bank_amount or 0,
            answer=answer,
            fact=fact,
        )
        return None, payer.owner_id

    async def _park(self, lacking: Lacking, reason: str, answer: PayoutAnswer | None = None) -> list[Settled]:
        async def park(session: AsyncSession) -> list[Settled]:
            return await self._book_from_suspense(session, lacking, await read_anew(session, lacking), reason, answer)

        return await in_transaction(self.sessionmaker, park)

    async def _book_rest(
        self, session: AsyncSession, lacking: Lacking, reason: str, answer: PayoutAnswer | None = None
    ) -> list[Settled]:
        """Book from suspense what the bank has beyond what was booked in this transaction."""
        await session.flush()
        books = await read_anew(session, lacking)
        return await self._book_from_suspense(session, lacking, books, reason, answer) if books.lines else []

    async def _book_from_suspense(
        self, session: AsyncSession, lacking: Lacking, books: Books, reason: str, answer: PayoutAnswer | None = None
    ) -> list[Settled]:
        """Book money that left from suspense. What came in is parked by reconciliation, when all is settled.

        The transfer keeps whose payout it was, if the bank's `answer` names an owner: the platform has a claim on them.
        """
        if (differs := books.differs) is not None:
            reason = f"our book has {differs.our_amount} paise: the bank has to correct its line"
            return [self._done(differs, Result.DIFFERS, reason)]
        if not books.lines:  # booked by another run, or by one that was cut off
            known = Result.PARKED if books.is_parked else Result.KNOWN
            return [self._done(lacking.lines[0], known, "booked before")]
        # The worker books it when the bank has said so. Booked from suspense too, it would be booked twice.
        settled = [self._done(line, Result.ASKED_LATER, reason) for line in books.asked_later]
        payer = None if answer is None or not books.missing else await find_payer(session, answer)
        owner_id = None if payer is None else payer.owner_id
        for line in books.missing:
            await post_one(session, _from_suspense(self.bank, line, owner_id))
            self._audit(session, line, Result.PARKED, owner_id, reason=reason)
        parked = [line for line in books.unexplained if line.direction == "DEBIT"] or books.unexplained
        return settled + [self._done(line, Result.PARKED, reason, owner_id) for line in parked]

    def _audit(self, session: AsyncSession, line: Difference, what: Result, owner_id: UUID | None, **more: str) -> None:
        facts = {
            "bank": self.bank,
            "reference": line.reference,
            "amount": line.bank_amount,
            "result": what,
            "owner_id": None if owner_id is None else str(owner_id),
            **more,
        }
        add_command(session, what=RECOVERY_SETTLE, operator=self.operator, facts=facts, owner_id=owner_id)

    def _done(self, line: Difference, result: Result, reason: str = "", owner_id: UUID | None = None) -> Settled:
        return Settled(self.bank, line.reference, line.direction, line.bank_amount or 0, result, reason, owner_id)


def _is_parked(lines: Sequence[Difference], parked: Counter[tuple[str, int]]) -> bool:
    """Whether each of these lines is a credit that suspense has, one for one."""
    wanted = Counter((line.reference, line.bank_amount or 0) for line in lines)
    return all(line.kind == "unmatched_credit" for line in lines) and wanted <= parked


def _line_of_payout(books: Books, answer: PayoutAnswer) -> Difference | None:
    """What our book lacks of the payout itself: the debit, of which it has none, or the credit by which it came back.

    A second debit is never the payout's: an owner asked to be paid once.
    """
    direction = "CREDIT" if books.has_debit else "DEBIT"
    for line in books.lines:
        if line.direction == direction and answer.amount in (None, line.bank_amount):
            return line
    return None


def _fact_of(answer: PayoutAnswer) -> Paid | PayoutReversed | None:
    match answer.status:
        case "SUCCESS":
            return Paid(answer.utr)
        case "REVERSED":
            return PayoutReversed(answer.utr, answer.code or answer.message or "the bank gave no reason")
        case _:
            return None


def _from_suspense(bank: str, line: Difference, owner_id: UUID | None) -> Transfer:
    # The note is the bank's reference: the comparison of the books finds the line by it.
    return Transfer(
        new_id(),
        "adjustment",
        system_accounts.SUSPENSE,
        system_accounts.SETTLEMENT[bank],
        line.bank_amount or 0,
        note=line.reference,
        initiated_by=owner_id,
    )
