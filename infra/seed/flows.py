"""On-ramps and withdrawals of the sample history: requested as the plan says, settled by the same code as real ones.

The commands of the flows commit by themselves and call banks, so their rows are made here, in the caller's transaction.
The banks are told afterwards (`simulated_banks`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from infra.seed.cast import BANK_ACCOUNTS, Person, Shop
from infra.seed.history import Movement
from shared import clock
from shared.banks.notices import PaymentNotice
from shared.banks.number_keys import NumberKeys
from shared.banks.table import BANKS
from shared.ids import new_id, new_token
from shared.ledger.post import post_one
from shared.ledger.rules import PlaceHold
from shared.models import Account, OnRamp, Withdrawal
from shared.models.on_ramp import OnRampStatus
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from shared.on_ramps import settlement as on_ramp_settlement
from shared.withdrawals import settlement, timeline
from shared.withdrawals.events import EventFacts, EventKind
from shared.withdrawals.facts import Conclusion, Paid, PayoutRefused, PayoutReversed
from shared.withdrawals.kept_numbers import encrypt_number

KEY_PREFIX = "sample-data-"
"""The idempotency keys of sample on-ramps begin with it; `simulated_banks` finds them by it."""
DECIDED_AFTER = timedelta(seconds=41)
"""From the request to the bank's decision."""
_REFUSAL = "NAME_MISMATCH"
_RETURN = "RETURNED"
_FIRST_SERIAL = 900_000
"""Serials of the banks' own numbers begin at 1, so these are not used twice in practice."""


class Flows:
    """Makes on-ramps and withdrawals happen in the caller's transaction."""

    def __init__(self, session: AsyncSession, number_keys: NumberKeys) -> None:
        self._session = session
        self._number_keys = number_keys
        self._made = 0
        self._withdrawals: dict[Movement, tuple[Withdrawal, str]] = {}

    async def add_money(self, movement: Movement, wallet: Account, decided_at: datetime) -> None:
        """A person asks for money from a bank, and the bank confirms at `decided_at`, or says that it was declined."""
        on_ramp = OnRamp(
            id=new_id(),
            owner_id=wallet.owner_id,
            account_id=wallet.id,
            bank=movement.bank,
            amount=movement.amount,
            currency=wallet.currency,
            status=OnRampStatus.PENDING,
            idempotency_key=self._next_key(),
            token=new_token(),
            is_late_success=False,
            is_contradicted=False,
            created_at=decided_at - DECIDED_AFTER,
        )
        self._session.add(on_ramp)
        await self._session.flush()
        assert on_ramp.token is not None
        event: Literal["success", "failure"] = "failure" if movement.is_refused else "success"
        number = self._bank_number(movement.bank, decided_at)
        notice = PaymentNotice(movement.bank, event, on_ramp.token, str(on_ramp.owner_id), movement.amount, number)
        with clock.reading(lambda: decided_at):
            settled = await on_ramp_settlement.settle(self._session, notice)
        assert settled.verdict is Verdict.SETTLED

    async def withdraw(self, movement: Movement, wallet: Account, decided_at: datetime) -> None:
        """A wallet's owner asks for a payout, and the bank decides at `decided_at`."""
        assert isinstance(movement.payer, Person | Shop)
        with clock.reading(lambda: decided_at - DECIDED_AFTER):
            withdrawal = await self._queue(movement, movement.payer, wallet)
            await self._begin_send(withdrawal)
        number = self._bank_number(movement.bank, decided_at)
        self._withdrawals[movement] = withdrawal, number
        with clock.reading(lambda: decided_at):
            await self._conclude(withdrawal, PayoutRefused(_REFUSAL) if movement.is_refused else Paid(number))

    async def come_back(self, payout: Movement, at: datetime) -> None:
        """The receiving bank returns the money of this payout."""
        withdrawal, number = self._withdrawals[payout]
        with clock.reading(lambda: at):
            await self._conclude(withdrawal, PayoutReversed(number, _RETURN))

    async def _queue(self, movement: Movement, owner: Person | Shop, wallet: Account) -> Withdrawal:
        """What the command does: hold the money and queue the row."""
        to = BANK_ACCOUNTS[owner]
        self._made += 1
        hold = PlaceHold(hold_id=new_id(), account_id=wallet.id, amount=movement.amount, currency=wallet.currency)
        await post_one(self._session, hold)
        withdrawal = Withdrawal(
            id=new_id(),
            owner_id=wallet.owner_id,
            account_id=wallet.id,
            bank=to.bank,
            account_number=to.account_number,
            ifsc=to.ifsc,
            account_holder=owner.name,
            amount=movement.amount,
            currency=wallet.currency,
            status=WithdrawalStatus.QUEUED,
            hold_id=hold.hold_id,
            attempts=0,
            retries=0,
            created_at=clock.now(),
        )
        encrypt_number(withdrawal, self._number_keys)
        self._session.add(withdrawal)
        await self._session.flush()
        await timeline.append(self._session, withdrawal.id, status=withdrawal.status, kind=EventKind.QUEUED)
        return withdrawal

    async def _begin_send(self, withdrawal: Withdrawal) -> None:
        """What the engine does before it calls the bank; without a lease, because the outcome follows at once."""
        withdrawal.status = WithdrawalStatus.IN_FLIGHT
        withdrawal.attempts = 1
        withdrawal.active_since = clock.now()
        await self._session.flush()
        facts: EventFacts = {"attempt": withdrawal.attempts}
        await timeline.append(
            self._session, withdrawal.id, status=withdrawal.status, kind=EventKind.SENDING, facts=facts
        )

    async def _conclude(self, withdrawal: Withdrawal, fact: Conclusion) -> None:
        assert await settlement.settle(self._session, withdrawal, fact) is Verdict.SETTLED

    def _next_key(self) -> str:
        self._made += 1
        return f"{KEY_PREFIX}{self._made}"

    def _bank_number(self, bank: str, at: datetime) -> str:
        """The bank's own number: bank, `N`, year, day of the year, serial number."""
        return f"{BANKS[bank].ifsc_prefix}N{at:%y%j}{_FIRST_SERIAL + self._made}"
