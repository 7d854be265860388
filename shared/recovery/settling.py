"""Settle what a bank did after the moment to which the database was restored, reference by reference.

A line of the bank's statement carries our reference and no owner. Whose it is, is what the bank repeats of what we told
it when we opened the session or sent the payout; it is never guessed. What the bank cannot tell is parked in suspense.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.audit.kinds import RECOVERY_SETTLE
from shared.audit.writing import add_command
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, Refused
from shared.banks.messages import PayoutAnswer, SessionState, StatementItem
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
from shared.on_ramps.settlement import PaymentOutcome
from shared.reconciliation import findings
from shared.reconciliation.bank_book import our_lines, parked_credits, under_way
from shared.reconciliation.comparison import GIVEN_BACK, Comparison, Difference, Expected, OurLine, compare
from shared.reconciliation.reconcile import LOOKBACK, reconcile_bank
from shared.withdrawals.facts import Paid, PayoutReversed
from shared.withdrawals.lost import find_payer, is_asked_about_first, settle_paid, write_again

MARGIN = findings.RECOVERED_BEFORE
"""So long before the restored moment, and beyond now, a line of the bank is looked at."""
READ_BACK = MARGIN + LOOKBACK
"""Lines are read from this long before that moment, so that both books' lines of a reference are compared."""

# What takes a parked credit back is a debit of suspense under its reference, too, and parks nothing.
_IS_PARKED = text("""
    SELECT EXISTS (
        SELECT FROM entries e JOIN transfers t ON t.id = e.transfer_id
        WHERE e.account_id = :suspense AND e.direction = 'DEBIT' AND t.kind = 'adjustment' AND t.reverses IS NULL
          AND t.credit_account_id = :settlement AND t.note = :reference
    )
""")


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
    LEFT = "left"
    """The bank gave no answer, or is still at work: settle again later."""


_RESULT_OF_PAYOUT = {Verdict.SETTLED: Result.DEBITED, Verdict.DUPLICATE: Result.KNOWN}


@dataclass(frozen=True, slots=True)
class Settled:
    """One reference: what the statement has under it (paise, DEBIT is money that left), what was done, and why."""

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


@dataclass(frozen=True, slots=True)
class Settling:
    """One bank's part of a recovery. `operator` is who gave the command, for the audit trail."""

    sessionmaker: SessionMaker
    client: BankClient
    bank: str
    restored_to: datetime
    operator: str

    async def look(self) -> tuple[dict[str, list[Difference]], int]:
        """The bank's lines since the restored moment that our book lacks, by reference; and how many are under way.

        Raises what `BankClient.statement` raises.
        """
        return await self._look(settles_queue=True)

    async def _look(self, *, settles_queue: bool) -> tuple[dict[str, list[Difference]], int]:
        compared = await self._compare(await self._statement(), settles_queue=settles_queue)
        lacking: dict[str, list[Difference]] = {}
        for difference in sorted(compared.differences, key=lambda found: found.at):
            if difference.bank_amount is not None and difference.at >= self.restored_to - MARGIN:
                lacking.setdefault(difference.reference, []).append(difference)
        return lacking, sum(line.reason != GIVEN_BACK for line in compared.explained)

    async def unsettled(self) -> list[str]:
        """References of lines that our book lacks, that are not parked and that no worker will ask about.

        Raises what `BankClient.statement` does.
        """
        lacking, _ = await self._look(settles_queue=False)
        in_suspense = await in_transaction(self.sessionmaker, lambda session: parked_credits(session, self.bank))
        parked = {line.reference for line in in_suspense}
        return [
            reference
            for reference, lines in lacking.items()
            if reference not in parked or any(line.kind != "unmatched_credit" for line in lines)
        ]

    async def settle(self, limit: int, *, park_unanswered: bool = False) -> BankReport:
        """Settle at most `limit` references, the longest waiting first, each in a transaction of its own.

        What is settled is seen in the books, so a repeat settles nothing twice; where the answer to a commit is lost,
        the repeat reports KNOWN. At the end, unmatched credits are parked. With `park_unanswered`, so is what the bank
        gives no answer about.
        """
        lacking, is_under_way = await self.look()
        due = sorted(lacking, key=lambda reference: lacking[reference][0].at)
        report = BankReport(self.bank, more=max(0, len(due) - limit), under_way=is_under_way)
        for reference in due[:limit]:
            try:
                report.settled.append(await self._settle(reference, lacking[reference]))
            except (BankFailed, Refused) as error:
                reason = f"no answer: {error.reason}"
                if park_unanswered:
                    report.settled.append(await self._park(lacking[reference], reason))
                else:
                    report.settled.append(self._done(lacking[reference], Result.LEFT, reason))
        if not report.left and not report.more:
            await reconcile_bank(
                self.sessionmaker,
                self.client,
                self.bank,
                since=self.restored_to - MARGIN,
                until=clock.now() + timedelta(seconds=1),
                grace=timedelta(0),
            )
        return report

    async def _statement(self) -> list[StatementItem]:
        # Beyond now: the bank's clock, or this machine's, may be wrong, and what is not read would never be settled.
        return await whole_statement(self.client, self.restored_to - READ_BACK, clock.now() + MARGIN)

    async def _compare(self, items: Sequence[StatementItem], *, settles_queue: bool) -> Comparison:
        async def read(session: AsyncSession) -> tuple[Sequence[OurLine], Sequence[Expected]]:
            ours = await our_lines(session, self.bank, since=self.restored_to - READ_BACK)
            return ours, await under_way(session, self.bank, in_queue=not settles_queue)

        ours, expected = await in_transaction(self.sessionmaker, read)
        return compare(items, [line for line in ours if not line.is_parked], expected=expected)

    async def _settle(self, reference: str, lines: Sequence[Difference]) -> Settled:
        try:
            our_id = UUID(reference)
        except ValueError:
            return await self._park(lines, "not a reference of ours")
        # The first line tells what it began as: money that came in was an on-ramp, money that left a payout. A credit
        # alone may also be a payout of before that came back since.
        session = await self.client.session_of(reference) if lines[0].direction == "CREDIT" else None
        if session is not None:
            return await self._credit(our_id, session, lines)
        answer = await self.client.enquire(reference)
        if answer is None:
            return await self._park(lines, "the bank knows neither a session nor a payout of this reference")
        return await self._debit(our_id, answer, lines)

    async def _credit(self, our_id: UUID, state: SessionState, lines: Sequence[Difference]) -> Settled:
        if state.status != "approved" or state.amount != lines[0].bank_amount:
            return await self._park(lines, f"its session is {state.status}, with {state.amount} paise")

        async def credit(session: AsyncSession) -> PaymentOutcome:
            await findings.lock(session, self.bank)
            outcome = await settle_approved(session, self.bank, our_id, state)
            if outcome.verdict is Verdict.SETTLED:
                self._audit(session, lines, Result.CREDITED, UUID(state.user_id))
            return outcome

        try:
            outcome = await in_transaction(self.sessionmaker, credit)
        except IntegrityError:
            return await self._park(lines, "the bank gave its token twice")
        if outcome.verdict is Verdict.SETTLED:
            return self._done(lines, Result.CREDITED, owner_id=UUID(state.user_id))
        if outcome.verdict is Verdict.DUPLICATE:
            return self._done(lines, Result.KNOWN)
        return await self._park(lines, f"its owner is not known here ({outcome.verdict})")

    async def _debit(self, our_id: UUID, answer: PayoutAnswer, lines: Sequence[Difference]) -> Settled:
        fact = _fact_of(answer)
        if fact is None:
            return self._done(lines, Result.LEFT, f"its payout is {answer.status}")
        amount = lines[0].bank_amount or 0
        if answer.amount not in (None, amount):
            return await self._park(lines, f"its payout has {answer.amount} paise", answer)
        try:
            verdict, owner_id = await in_transaction(
                self.sessionmaker, lambda session: self._book_payout(session, our_id, answer, fact, lines)
            )
        except (InsufficientFunds, AccountFrozen) as error:
            why = f"has {error.available} paise" if isinstance(error, InsufficientFunds) else "is frozen"
            return await self._park(lines, f"its owner {answer.user_ref} {why}", answer)
        if verdict in _RESULT_OF_PAYOUT:
            return self._done(lines, _RESULT_OF_PAYOUT[verdict], owner_id=owner_id)
        if verdict is None:
            return await self._park(lines, "it was parked before, or the bank names no owner who is known here", answer)
        return await self._park(lines, f"its withdrawal says otherwise ({verdict})", answer)

    async def _book_payout(
        self,
        session: AsyncSession,
        our_id: UUID,
        answer: PayoutAnswer,
        fact: Paid | PayoutReversed,
        lines: Sequence[Difference],
    ) -> tuple[Verdict | None, UUID | None]:
        """What follows for the withdrawal, and its owner if it is written again. None: there is none, and no owner."""
        await findings.lock(session, self.bank)
        if await self._is_parked(session, lines[0].reference):
            return None, None  # by an earlier run, or by one at the same time: our book has the line already
        verdict = await settle_paid(session, our_id, fact)
        payer = await find_payer(session, answer) if verdict is None else None
        if payer is not None:
            await write_again(
                session,
                bank=self.bank,
                withdrawal_id=our_id,
                payer=payer,
                amount=lines[0].bank_amount or 0,
                answer=answer,
                fact=fact,
            )
            verdict = Verdict.SETTLED
        owner_id = None if payer is None else payer.owner_id
        if verdict is Verdict.SETTLED:
            self._audit(session, lines, Result.DEBITED, owner_id)
        return verdict, owner_id

    async def _park(self, lines: Sequence[Difference], reason: str, answer: PayoutAnswer | None = None) -> Settled:
        """Book money that left from suspense, once. What came in is parked by reconciliation, when all is settled.

        The transfer keeps whose payout it was, if the bank's `answer` names an owner: the platform has a claim on them.
        """
        left = [line for line in lines if line.kind == "missing_here"]

        async def park(session: AsyncSession) -> Result:
            await findings.lock(session, self.bank)
            if left and await is_asked_about_first(session, left[0].reference, amount=left[0].bank_amount or 0):
                # The worker books it when the bank has said so. Booked from suspense too, it would be booked twice.
                return Result.ASKED_LATER
            if left and not await self._is_parked(session, left[0].reference):
                payer = None if answer is None else await find_payer(session, answer)
                owner_id = None if payer is None else payer.owner_id
                for line in left:
                    await post_one(session, _from_suspense(self.bank, line, owner_id))
                self._audit(session, left, Result.PARKED, owner_id, reason=reason)
            return Result.PARKED

        return self._done(lines, await in_transaction(self.sessionmaker, park), reason)

    async def _is_parked(self, session: AsyncSession, reference: str) -> bool:
        """Whether money that left under this reference is booked from suspense."""
        accounts = {"suspense": system_accounts.SUSPENSE, "settlement": system_accounts.SETTLEMENT[self.bank]}
        return bool(await session.scalar(_IS_PARKED, accounts | {"reference": reference}))

    def _audit(
        self, session: AsyncSession, lines: Sequence[Difference], what: Result, owner_id: UUID | None, **more: str
    ) -> None:
        facts = {
            "bank": self.bank,
            "reference": lines[0].reference,
            "amount": lines[0].bank_amount,
            "result": what,
            "owner_id": None if owner_id is None else str(owner_id),
            **more,
        }
        add_command(session, what=RECOVERY_SETTLE, operator=self.operator, facts=facts, owner_id=owner_id)

    def _done(
        self, lines: Sequence[Difference], result: Result, reason: str = "", owner_id: UUID | None = None
    ) -> Settled:
        first = lines[0]
        return Settled(self.bank, first.reference, first.direction, first.bank_amount or 0, result, reason, owner_id)


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
