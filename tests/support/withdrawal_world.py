"""People with money, a simulated bank with faults, and the engine between them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from shared import clock
from shared.banks.client import BankClient
from shared.banks.notices import PayoutNotice
from shared.banks.table import BANKS
from shared.config import MovementLimits, WithdrawalTimings
from shared.db.engine import SessionMaker
from shared.http.keyed_requests import WITHDRAW
from shared.idempotency.marks import Marks
from shared.ids import new_token
from shared.models import Account, OutboxMessage, Withdrawal, WithdrawalEvent
from shared.models import Transfer as TransferRow
from shared.withdrawals import commands
from shared.withdrawals import engine as production
from shared.withdrawals.bank_calls import BankCall
from shared.withdrawals.facts import Fact
from shared.withdrawals.freezes import Freezes
from shared.withdrawals.notices import PayoutOutcome, apply_payout_notice
from tests.support.deadlines import ENOUGH_SECONDS, deadline, patience
from tests.support.factories import create_user
from tests.support.number_keys import NUMBER_KEYS
from tests.support.simulated_bank import BankClient as BankConsole

ACCOUNT_NUMBER = "50100123451234"
PATIENT = WithdrawalTimings(
    bank_timeout_seconds=deadline(10),
    lease_seconds=deadline(40),
    retry_base_seconds=0.02,
    retry_cap_seconds=0.2,
    sweep_seconds=0.05,
)
"""The engine never gives up on a bank that works, however slow the machine; retries come at once."""
HASTY = PATIENT.model_copy(
    update={
        "bank_timeout_seconds": deadline(0.5),
        "lease_seconds": deadline(2),
        "not_found_grace_seconds": deadline(0.6),
    }
)
hasty = pytest.mark.parametrize("timings", [HASTY], ids=["hasty"])
"""For tests in which calls time out, or a payout never arrived: on a busy machine other calls time out, too."""


@dataclass(frozen=True, slots=True)
class Engine(production.Engine):
    """The engine, owner by owner and call by call."""

    async def advance(self, owner_id: UUID, max_calls: int = 10) -> int:
        """Do what is due for this owner, one withdrawal after the other. Returns how many calls that took."""
        for calls in range(max_calls):
            call = await self.next_call(owner_id)
            if call is None:
                return calls
            await self.record(call, await self.make(call))
        return max_calls

    async def next_call(self, owner_id: UUID) -> BankCall | None:
        """The owner's next call, leased, or None: nothing is due."""
        claimed = await self.claim(dict.fromkeys(BANKS, 1), owner_id=owner_id)
        return claimed.calls[0] if claimed.calls else None

    async def record(self, call: BankCall, fact: Fact) -> None:
        """Record the outcome of one call."""
        await self.record_all([(call, fact)])


def engine_on(sessionmaker: SessionMaker, clients: Mapping[str, BankClient], timings: WithdrawalTimings) -> Engine:
    """An engine whose questions share the connections of its sessions."""
    return Engine(sessionmaker, Freezes(sessionmaker.kw["bind"]), clients, timings, NUMBER_KEYS)


@dataclass
class World:
    sessionmaker: SessionMaker
    engine: Engine
    consoles: dict[str, BankConsole]
    owners: set[UUID] = field(default_factory=set)
    """The people of this test; the database holds others, too."""
    max_unfinished: int = 100

    @property
    def bank(self) -> BankConsole:
        """HDFC, which the tests use unless they need two."""
        return self.consoles["hdfc"]

    async def person(self, balance: int = 1_000_00) -> Account:
        async with self.sessionmaker.begin() as session:
            wallet = await create_user(session, balance=balance)
        self.owners.add(owner_of(wallet))
        return wallet

    async def ask(self, wallet: Account, amount: int = 100_00, bank: str = "hdfc") -> UUID:
        """Ask for a withdrawal, as the API does; its id."""
        answer = await commands.request(
            WITHDRAW.request(owner_of(wallet), new_token()),
            bank=bank,
            account_number=ACCOUNT_NUMBER,
            ifsc=f"{BANKS[bank].ifsc_prefix}0001234",
            account_holder="Asha Rao",
            amount=amount,
            sessionmaker=self.sessionmaker,
            marks=Marks(self.sessionmaker),
            number_keys=NUMBER_KEYS,
            limits=MovementLimits(),
            max_unfinished=self.max_unfinished,
            requires_verified_email=False,
        )
        return UUID(answer.body["id"])

    async def row(self, withdrawal_id: UUID) -> Withdrawal:
        async with self.sessionmaker() as session:
            return await session.get_one(Withdrawal, withdrawal_id)

    async def change(self, withdrawal_id: UUID, **values: Any) -> None:
        """Put a row where a crash, or a long time, would have left it."""
        async with self.sessionmaker.begin() as session:
            await session.execute(update(Withdrawal).where(Withdrawal.id == withdrawal_id).values(**values))

    async def let_lease_end(self, withdrawal_id: UUID) -> None:
        """Put the row where the time of a dead worker's lease leaves it."""
        await self.change(withdrawal_id, lease_expires_at=past(0.01), next_attempt_at=past(0.01))

    async def kinds(self, withdrawal_id: UUID) -> list[str]:
        """The kinds of the timeline's events, in order."""
        statement = select(WithdrawalEvent.kind).where(WithdrawalEvent.withdrawal_id == withdrawal_id)
        async with self.sessionmaker() as session:
            return list(await session.scalars(statement.order_by(WithdrawalEvent.seq)))

    async def money(self, wallet: Account) -> tuple[int, int]:
        """Balance and held, in paise."""
        async with self.sessionmaker() as session:
            account = await session.get_one(Account, wallet.id)
            return account.balance, account.held

    async def transfers(self, wallet: Account) -> list[str]:
        """Kinds of the transfers that took part in the person's withdrawals."""
        statement = (
            select(TransferRow.kind)
            .where(TransferRow.kind.in_(["payout", "payout_reversal"]))
            .where((TransferRow.debit_account_id == wallet.id) | (TransferRow.credit_account_id == wallet.id))
            .order_by(TransferRow.id)
        )
        async with self.sessionmaker() as session:
            return list(await session.scalars(statement))

    async def mail(self, wallet: Account) -> list[dict[str, Any]]:
        statement = select(OutboxMessage.facts).where(
            OutboxMessage.owner_id == wallet.owner_id, OutboxMessage.kind == "withdrawal_finished"
        )
        async with self.sessionmaker() as session:
            return list(await session.scalars(statement.order_by(OutboxMessage.id)))

    async def receive_notice(self, withdrawal_id: UUID, event: Any, **changed: Any) -> PayoutOutcome:
        """Receive a notice of the bank about a payout."""
        withdrawal = await self.row(withdrawal_id)
        facts = {"bank": "hdfc", "reference": str(withdrawal_id), "utr": "UTR1", "amount": withdrawal.amount}
        notice = PayoutNotice(**{**facts, "event": event, "reason": "ACCOUNT_CLOSED", **changed})
        async with self.sessionmaker.begin() as session:
            return await apply_payout_notice(session, notice)

    async def work_until(self, is_done: Callable[[], Awaitable[bool]], seconds: float = ENOUGH_SECONDS) -> None:
        """Be the worker for the people of this test, all at the same time, until it is done."""
        ends_at = time.monotonic() + patience(seconds)
        while not await is_done():
            assert time.monotonic() < ends_at, "not in time"
            await asyncio.gather(*(self.engine.advance(owner) for owner in self.owners))
            await asyncio.sleep(0.005)

    async def work_until_status(
        self, withdrawal_ids: Sequence[UUID], *statuses: str, seconds: float = ENOUGH_SECONDS
    ) -> None:
        async def all_there() -> bool:
            rows = [await self.row(withdrawal_id) for withdrawal_id in withdrawal_ids]
            return all(row.status in statuses for row in rows)

        await self.work_until(all_there, seconds)

    def paid_out(self, withdrawal_id: UUID) -> int:
        """Paise the bank's own book says left for this withdrawal, less what came back."""
        signs = {"DEBIT": 1, "CREDIT": -1}
        lines = [line for console in self.consoles.values() for line in console.paid_out(str(withdrawal_id))]
        return sum(signs[line["direction"]] * line["amount"] for line in lines)

    def calls_for(self, wallet: Account) -> list[dict[str, Any]]:
        """The payout calls the banks received for this person, in the order they began."""
        calls = [call for console in self.consoles.values() for call in console.items("calls")]
        return sorted(
            (call for call in calls if call["user_ref"] == str(wallet.owner_id)),
            key=lambda call: str(call["started_at"]),
        )

    def calls(self, withdrawal_id: UUID) -> list[dict[str, Any]]:
        """The payout calls the banks received for this withdrawal."""
        calls = [call for console in self.consoles.values() for call in console.items("calls")]
        return [call for call in calls if call["reference"] == str(withdrawal_id)]


def owner_of(wallet: Account) -> UUID:
    """The person whose wallet it is."""
    assert wallet.owner_id is not None
    return wallet.owner_id


def past(seconds: float) -> Any:
    """A moment ago, for a column."""
    return clock.now() - timedelta(seconds=seconds)


async def taken(world: World, owner_id: UUID) -> BankCall:
    """The owner's next call to the bank, as a worker takes it on."""
    call = await world.engine.next_call(owner_id)
    assert call is not None
    return call
