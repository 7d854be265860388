"""Any sequence of instructions and flows on a real Postgres, beside a model that knows only sums.

The model does not use the ledger's rules. It says which instructions are accepted, and what each account then holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.banks.notices import PayoutNotice
from shared.config import DatabaseSettings, MovementLimits
from shared.db.direct import direct_transaction
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.http.keyed_requests import WITHDRAW
from shared.idempotency.claims import Answer, claim_for
from shared.idempotency.marks import Marks
from shared.ids import new_id, new_token
from shared.ledger.errors import InsufficientFunds
from shared.ledger.post import Instruction, Replayed, post_instructions
from shared.ledger.rules import CaptureHold, Command, PlaceHold, Posted, ReleaseHold, Transfer
from shared.models import Account, Entry, OnRamp, Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.on_ramps.settlement import settle
from shared.proof.prove import prove
from shared.withdrawals import commands
from shared.withdrawals.bank_calls import BankCall
from shared.withdrawals.errors import AlreadySent
from shared.withdrawals.facts import (
    Fact,
    InProgress,
    MayBeDone,
    NoAnswer,
    NotDone,
    NotFoundAtBank,
    Paid,
    PayoutRefused,
    PayoutReversed,
    WrongAmount,
)
from shared.withdrawals.notices import apply_payout_notice
from tests.support.bank_notices import create_on_ramp, payment_notice
from tests.support.factories import create_merchant, create_user
from tests.support.money_model import PEOPLE, START_PAISE, Asked, Model
from tests.support.number_keys import NUMBER_KEYS
from tests.support.withdrawal_world import ACCOUNT_NUMBER, PATIENT, engine_on, past

KEYS = 8
FACTS: tuple[Fact, ...] = (
    Paid("UTR1"),
    PayoutRefused("ACCOUNT_CLOSED"),
    PayoutReversed("UTR1", "RETURNED"),
    InProgress(),
    MayBeDone("ReadTimeout"),
    NotDone("ConnectError"),
    NoAnswer("ReadTimeout"),
    NotFoundAtBank(),
    WrongAmount(1),
)

people = st.integers(0, PEOPLE - 1)
amounts = st.integers(1, 120)
keys = st.integers(0, KEYS - 1)
anything = st.integers(0, 10_000)

T = TypeVar("T")


class MoneyMachine(RuleBasedStateMachine):
    """One world: a shop, which is the first, and people. The runner and the engine outlive it."""

    def __init__(self, runner: asyncio.Runner, engine: AsyncEngine) -> None:
        super().__init__()
        self._runner, self._engine = runner, engine
        self._sessionmaker: SessionMaker = create_sessionmaker(engine)
        self._payouts = engine_on(self._sessionmaker, {}, PATIENT)
        self._accounts: list[Account] = self._run(self._open())
        self._places = {account.id: place for place, account in enumerate(self._accounts)}
        self._model = Model()
        self._asked: list[Asked] = []
        self._pending: list[Asked] = []
        self._on_ramps: list[OnRamp] = []
        self._credited: set[UUID] = set()
        self._withdrawals: dict[UUID, tuple[int, int]] = {}
        self._final: dict[UUID, WithdrawalStatus] = {}
        self._calls: list[BankCall] = []

    # Instructions, which wait for a batch.

    @rule(sender=people, to=people, amount=amounts, key=st.none() | keys)
    def send(self, sender: int, to: int, amount: int, key: int | None) -> None:
        kind: Any = "payment" if to == 0 else "p2p"
        transfer = Transfer(new_id(), kind, self._accounts[sender].id, self._accounts[to].id, amount)
        self._ask(transfer, sender, key, f"send {to} {amount}")

    @precondition(lambda self: self._payments())
    @rule(which=anything, buyer=st.none() | people, amount=amounts, key=st.none() | keys)
    def refund(self, which: int, buyer: int | None, amount: int, key: int | None) -> None:
        payments = self._payments()
        payment = payments[which % len(payments)]
        to = payment.debit_account_id if buyer is None else self._accounts[buyer].id
        refund = Transfer(new_id(), "refund", self._accounts[0].id, to, amount, reverses=payment.id)
        self._ask(refund, 0, key, f"refund {payment.id} {to} {amount}")

    @rule(person=people, earlier=st.none() | anything, amount=amounts, key=st.none() | keys)
    def hold(self, person: int, earlier: int | None, amount: int, key: int | None) -> None:
        """A new one, or one under the id of an earlier one."""
        placed = self._placed()
        hold_id = new_id() if earlier is None or not placed else placed[earlier % len(placed)].hold_id
        place = PlaceHold(hold_id, self._accounts[person].id, amount)
        self._ask(place, person, key, f"hold {hold_id} {amount}")

    @precondition(lambda self: self._placed())
    @rule(which=anything, person=st.none() | people, to=people, amount=st.none() | amounts, key=st.none() | keys)
    def capture(self, which: int, person: int | None, to: int, amount: int | None, key: int | None) -> None:
        """As it should be, or for another person or amount."""
        placed = self._placed()[which % len(self._placed())]
        debited = self._places[placed.account_id] if person is None else person
        kind: Any = "payment" if to == 0 else "p2p"
        paid = placed.amount if amount is None else amount
        transfer = Transfer(new_id(), kind, self._accounts[debited].id, self._accounts[to].id, paid)
        self._ask(CaptureHold(placed.hold_id, transfer), debited, key, f"capture {placed.hold_id} {to} {paid}")

    @precondition(lambda self: self._placed())
    @rule(which=anything, person=st.none() | people, key=st.none() | keys)
    def release(self, which: int, person: int | None, key: int | None) -> None:
        placed = self._placed()[which % len(self._placed())]
        owner = self._places[placed.account_id] if person is None else person
        release = ReleaseHold(placed.hold_id, self._accounts[owner].id)
        self._ask(release, owner, key, f"release {placed.hold_id}")

    @precondition(lambda self: self._asked)
    @rule(which=anything)
    def repeat(self, which: int) -> None:
        """The same request again, whatever became of the first."""
        asked = self._asked[which % len(self._asked)]
        if asked.key is not None:
            self._pending.append(asked)

    @rule(cuts=st.lists(st.integers(1, 20), max_size=4))
    def post(self, cuts: list[int]) -> None:
        """All that waits, in batches."""
        while self._pending:
            size = cuts.pop() if cuts else len(self._pending)
            batch, self._pending = self._pending[:size], self._pending[size:]
            expected = [self._post_in_model(asked) for asked in batch]
            assert self._run(self._post(batch)) == expected

    # Flows, each of which commits.

    @rule(person=st.integers(1, PEOPLE - 1), amount=amounts)
    def ask_for_money(self, person: int, amount: int) -> None:
        self._on_ramps.append(self._run(self._ask_for_money(self._accounts[person], amount)))

    @precondition(lambda self: self._on_ramps)
    @rule(which=anything, event=st.sampled_from(["success", "success", "failure"]), is_other_amount=st.booleans())
    def bank_speaks_of_money(self, which: int, event: Any, is_other_amount: bool) -> None:
        """Its word counts once, and a success after a failure is credited."""
        on_ramp = self._on_ramps[which % len(self._on_ramps)]
        changes = {"amount": on_ramp.amount + 1} if is_other_amount else {}
        self._run(self._receive(on_ramp, event, changes))
        if event == "success" and not changes and on_ramp.id not in self._credited:
            self._credited.add(on_ramp.id)
            self._model.sums[self._places[on_ramp.account_id]].move(on_ramp.amount)

    @rule(person=st.integers(1, PEOPLE - 1), amount=amounts)
    def withdraw(self, person: int, amount: int) -> None:
        self.post([])
        withdrawal = self._run(self._withdraw(self._accounts[person], amount))
        assert (withdrawal is not None) == (self._model.sums[person].available >= amount)
        if withdrawal is not None:
            self._withdrawals[withdrawal] = (person, amount)
            self._model.sums[person].held += amount

    @rule(person=st.integers(1, PEOPLE - 1))
    def worker_takes(self, person: int) -> None:
        """A worker begins a call to the bank. It may die, and another takes the call over."""
        call = self._run(self._take(self._accounts[person]))
        if call is not None:
            self._calls.append(call)

    @precondition(lambda self: self._calls)
    @rule(which=anything, fact=st.sampled_from(FACTS))
    def worker_learns(self, which: int, fact: Fact) -> None:
        """In time, late, or again."""
        self._run(self._payouts.record(self._calls[which % len(self._calls)], fact))
        self._learn_statuses()

    @precondition(lambda self: self._withdrawals)
    @rule(which=anything, event=st.sampled_from(["success", "failure", "reversed"]), utr=st.sampled_from(["UTR1", "2"]))
    def bank_speaks_of_payout(self, which: int, event: Any, utr: str) -> None:
        self._run(self._receive_payout_notice(self._withdrawal(which), event, utr))
        self._learn_statuses()

    @precondition(lambda self: self._withdrawals)
    @rule(which=anything)
    def cancel(self, which: int) -> None:
        self._run(self._cancel(self._withdrawal(which)))
        self._learn_statuses()

    # Laws.

    @invariant()
    def every_account_holds_what_the_model_says(self) -> None:
        found = self._run(self._found())
        assert found == [(sums.balance, sums.held, sums.entries) for sums in self._model.sums]
        assert all(sums.available >= 0 for sums in self._model.sums)

    def teardown(self) -> None:
        self.post([])
        self.every_account_holds_what_the_model_says()

    def _ask(self, command: Command, owner: int, key: int | None, body: str) -> None:
        asked = Asked(command, owner, key, body)
        self._asked.append(asked)
        self._pending.append(asked)

    def _placed(self) -> list[PlaceHold]:
        return [asked.command for asked in self._asked if isinstance(asked.command, PlaceHold)]

    def _payments(self) -> list[Transfer]:
        commands = [asked.command for asked in self._asked]
        shop = self._accounts[0].id
        return [each for each in commands if isinstance(each, Transfer) and each.credit_account_id == shop]

    def _post_in_model(self, asked: Asked) -> str:
        return self._model.post(asked, self._places)

    def _withdrawal(self, which: int) -> UUID:
        return list(self._withdrawals)[which % len(self._withdrawals)]

    def _learn_statuses(self) -> None:
        """The money of a withdrawal is where its status says, and what has ended only comes back."""
        for withdrawal_id, status in self._run(self._statuses()):
            before = self._final.get(withdrawal_id)
            if withdrawal_id not in self._withdrawals or not status.is_final or status is before:
                continue
            person, amount = self._withdrawals[withdrawal_id]
            sums = self._model.sums[person]
            if before is None:
                sums.held -= amount
                if status.was_paid_out:
                    sums.move(-amount)
            else:
                assert (before, status) == (WithdrawalStatus.SUCCEEDED, WithdrawalStatus.REVERSED)
            if status is WithdrawalStatus.REVERSED:
                sums.move(amount)
            self._final[withdrawal_id] = status

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    async def _open(self) -> list[Account]:
        async with self._sessionmaker.begin() as session:
            shop = await create_merchant(session, balance=START_PAISE)
            return [shop, *[await create_user(session, balance=START_PAISE) for _ in range(PEOPLE - 1)]]

    async def _post(self, batch: list[Asked]) -> list[str]:
        async with direct_transaction(self._engine) as connection:
            outcomes = await post_instructions(connection, [self._instruction(asked) for asked in batch])
        names = {Posted: "posted", Replayed: "replayed"}
        return [names.get(type(outcome), "rejected") for outcome in outcomes]

    def _instruction(self, asked: Asked) -> Instruction:
        if asked.key is None:
            return Instruction(asked.command)
        owner_id = self._accounts[asked.owner].owner_id
        assert owner_id is not None
        claim = claim_for(owner_id, f"k{asked.key}", method="POST", route="/", body={"asked": asked.body})
        return Instruction(asked.command, claim, lambda posted: Answer(201, {"entries": len(posted.entries)}))

    async def _found(self) -> list[tuple[int, int, int]]:
        entries = (
            select(func.count()).select_from(Entry).where(Entry.account_id == Account.id).correlate(Account)
        ).scalar_subquery()
        statement = select(Account.id, Account.balance, Account.held, entries).where(Account.id.in_(self._places))
        async with self._sessionmaker() as session:
            rows = {row[0]: (row[1], row[2], row[3]) for row in await session.execute(statement)}
        return [rows[account.id] for account in self._accounts]

    async def _ask_for_money(self, wallet: Account, amount: int) -> OnRamp:
        async with self._sessionmaker.begin() as session:
            return await create_on_ramp(session, wallet, amount=amount)

    async def _receive(self, on_ramp: OnRamp, event: Any, changes: dict[str, Any]) -> None:
        async with self._sessionmaker.begin() as session:
            await settle(session, payment_notice(on_ramp, event, **changes))

    async def _withdraw(self, wallet: Account, amount: int) -> UUID | None:
        assert wallet.owner_id is not None
        try:
            answer = await commands.request(
                WITHDRAW.request(wallet.owner_id, new_token()),
                bank="hdfc",
                account_number=ACCOUNT_NUMBER,
                ifsc="HDFC0001234",
                account_holder="Asha Rao",
                amount=amount,
                sessionmaker=self._sessionmaker,
                marks=Marks(self._sessionmaker),
                number_keys=NUMBER_KEYS,
                limits=MovementLimits(),
                max_unfinished=1000,
                requires_verified_email=False,
            )
        except InsufficientFunds:
            return None
        return UUID(answer.body["id"])

    async def _take(self, wallet: Account) -> BankCall | None:
        assert wallet.owner_id is not None
        await self._let_time_pass()
        return await self._payouts.next_call(wallet.owner_id)

    async def _let_time_pass(self) -> None:
        """Leases end, pauses are over, and the grace period of a payout that was not found has passed."""
        long_ago = past(timedelta(hours=1).total_seconds())
        async with self._sessionmaker.begin() as session:
            for column in (Withdrawal.lease_expires_at, Withdrawal.next_attempt_at, Withdrawal.first_not_found_at):
                await session.execute(
                    update(Withdrawal)
                    .where(Withdrawal.id.in_(self._withdrawals), column.is_not(None))
                    .values({column: long_ago})
                )

    async def _receive_payout_notice(self, withdrawal_id: UUID, event: Any, utr: str) -> None:
        _, amount = self._withdrawals[withdrawal_id]
        facts = {"bank": "hdfc", "reference": str(withdrawal_id), "utr": utr, "amount": amount}
        async with self._sessionmaker.begin() as session:
            await apply_payout_notice(session, PayoutNotice(**{**facts, "event": event, "reason": "ACCOUNT_CLOSED"}))

    async def _cancel(self, withdrawal_id: UUID) -> None:
        person, _ = self._withdrawals[withdrawal_id]
        owner_id = self._accounts[person].owner_id
        assert owner_id is not None
        with suppress(AlreadySent):
            async with self._sessionmaker.begin() as session:
                await commands.cancel(session, owner_id=owner_id, withdrawal_id=withdrawal_id)

    async def _statuses(self) -> list[tuple[UUID, WithdrawalStatus]]:
        statement = select(Withdrawal.id, Withdrawal.status).where(Withdrawal.id.in_(self._withdrawals))
        async with self._sessionmaker() as session:
            return [(row[0], row[1]) for row in await session.execute(statement)]


def run_sequences(database_url: str, how_many: settings) -> None:
    """Run sequences on a database of their own, and prove its books after the last one."""
    with asyncio.Runner() as runner:
        engine = runner.run(_engine(database_url))

        class OfThisRun(MoneyMachine):
            def __init__(self) -> None:
                super().__init__(runner, engine)

        try:
            run_state_machine_as_test(OfThisRun, settings=how_many)
            report = runner.run(prove(create_sessionmaker(engine)))
            assert report.ok, report.failed
        finally:
            runner.run(engine.dispose())


async def _engine(database_url: str) -> AsyncEngine:
    return create_engine(DatabaseSettings(database_url=SecretStr(database_url)), application_name="tests")
