"""What people and shops do all day. Each draws from the seed what to do next."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from chaos.caller import Caller
from chaos.journal import Journal, Request
from shared.banks.table import BANKS

MOST_UNFINISHED = 6
"""Withdrawals that one owner has asked for at a time, about."""
LARGEST_PAISE = 300_00
BULK_ITEMS = 4
REMEMBERED = 200


class Netbanking(Protocol):
    """The bank's own page."""

    async def decide(self, url: str, decision: str) -> None:
        """Approve or decline; it may fail."""


@dataclass
class Town:
    """Who is there to be paid, and what shops were paid lately."""

    journal: Journal
    people: list[Person] = field(default_factory=list)
    shops: list[Shop] = field(default_factory=list)
    payments: dict[str, deque[tuple[str, int]]] = field(default_factory=dict)
    """By the shop's wallet id: the transfer and its paise."""

    @property
    def everyone(self) -> list[Inhabitant]:
        """People and shops."""
        return [*self.people, *self.shops]


class Inhabitant(Caller):
    """Acts until the day is over."""

    def __init__(self, client: httpx.AsyncClient, dice: random.Random, profile: dict[str, str], town: Town) -> None:
        super().__init__(client, town.journal, dice, profile)
        self.town = town
        self.withdrawals: deque[str] = deque(maxlen=MOST_UNFINISHED)
        self.last_withdrawal_at = float("-inf")

    async def live(self, over: asyncio.Event, pause_seconds: float) -> None:
        """Do one thing after the other until it is over; what was begun is finished."""
        while not over.is_set():
            await self.do_something()
            await asyncio.sleep(self.dice.uniform(0, pause_seconds))

    async def do_something(self) -> None:
        """One thing."""
        raise NotImplementedError

    def amount(self) -> int:
        """Some paise."""
        return self.dice.randint(1_00, LARGEST_PAISE)

    async def withdraw(self) -> None:
        """Ask for a withdrawal, unless the last was a moment ago: the bank takes one at a time."""
        now = asyncio.get_running_loop().time()
        if now - self.last_withdrawal_at < self.dice.uniform(1, 5):
            return
        self.last_withdrawal_at = now
        bank = self.dice.choice(list(BANKS.values()))
        body = {
            "bank": bank.code,
            "account_number": f"{self.dice.randrange(10**11, 10**12)}",
            "ifsc": f"{bank.ifsc_prefix}0000123",
            "account_holder": "Asha Rao",
            "amount": self.amount(),
        }
        request = await self.ask("withdraw", "/api/v1/withdrawals", body)
        if request.yes:
            self.withdrawals.append(request.yes.body["id"])

    async def cancel_withdrawal(self) -> None:
        """Cancel a late one, which works only while it is queued."""
        if self.withdrawals:
            which = self.withdrawals.pop()
            answer = await self.until_final("POST", f"/api/v1/withdrawals/{which}/cancel")
            if answer.is_yes:
                self.journal.cancelled.add(which)

    async def repeat_something(self) -> None:
        """Send an old request once more."""
        done = [request for request in self.own[-REMEMBERED:] if request.yes]
        if done:
            await self.repeat(self.dice.choice(done))

    async def abuse_a_key(self) -> None:
        """Send another body under a key that was used: it must be refused, and moves nothing."""
        done = [request for request in self.own[-REMEMBERED:] if request.yes and request.kind == "send"]
        if done:
            old = self.dice.choice(done)
            false = Request(old.number, old.kind, old.caller, old.path, {**old.body, "amount": 1_23}, old.key)
            await self.repeat(false)
            old.answers += [answer for answer in false.answers if answer.is_yes]


class Person(Inhabitant):
    """Adds money, sends it, puts it aside, withdraws it."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        dice: random.Random,
        profile: dict[str, str],
        town: Town,
        netbanking: Netbanking,
    ) -> None:
        super().__init__(client, dice, profile, town)
        self.pot: str | None = None
        self._netbanking = netbanking
        self._actions = {
            self._send_money: 46,
            self._send_to_many: 4,
            self._move_to_pot: 5,
            self._move_from_pot: 4,
            self._add_money: 12,
            self.withdraw: 14,
            self.cancel_withdrawal: 4,
            self.repeat_something: 8,
            self.abuse_a_key: 2,
        }

    async def open_pot(self) -> None:
        """Have a pot beside the wallet."""
        self.pot = (await self.until_final("POST", "/api/v1/accounts", {"name": "Goa trip"})).body["id"]

    async def do_something(self) -> None:
        """One thing."""
        (action,) = self.dice.choices(list(self._actions), list(self._actions.values()))
        await action()

    def _recipient(self) -> str:
        others = [other for other in self.town.everyone if other is not self and other.wallet_id]
        return self.dice.choice(others).wallet_id

    async def _send_money(self) -> None:
        to = self._recipient()
        self._remember_payment(to, await self.ask("send", "/api/v1/transfers", {"to": to, "amount": self.amount()}))

    def _remember_payment(self, to: str, request: Request) -> None:
        if request.yes and request.yes.body["kind"] == "payment":
            paid = self.town.payments.setdefault(to, deque(maxlen=REMEMBERED))
            paid.append((request.yes.body["id"], request.yes.body["amount"]))

    async def _send_to_many(self) -> None:
        items = [{"to": self._recipient(), "amount": self.amount()} for _ in range(BULK_ITEMS)]
        body = {"items": items, "all_or_nothing": self.dice.random() < 0.5}
        await self.ask("send_many", "/api/v1/transfers/bulk", body)

    async def _move_to_pot(self) -> None:
        if self.pot:
            await self.ask("send", "/api/v1/transfers", {"to": self.pot, "amount": self.amount()})

    async def _move_from_pot(self) -> None:
        if self.pot:
            body = {"to": self._recipient(), "amount": self.amount(), "from_account": self.pot}
            await self.ask("send", "/api/v1/transfers", body)

    async def _add_money(self) -> None:
        body = {"bank": self.dice.choice(list(BANKS)), "amount": self.amount()}
        request = await self.ask("on_ramp", "/api/v1/on-ramps", body)
        if not request.yes:
            return
        on_ramp: Mapping[str, Any] = request.yes.body
        (does,) = self.dice.choices(
            ["approve", "decline", "cancel", "approve and cancel", "nothing"], [60, 10, 10, 12, 8]
        )
        steps: list[Coroutine[Any, Any, object]] = []
        if "cancel" in does:
            steps.append(self.until_final("POST", f"/api/v1/on-ramps/{on_ramp['id']}/cancel"))
        if does not in {"cancel", "nothing"} and on_ramp["redirect_url"]:
            decision = "decline" if does == "decline" else "approve"
            steps.append(self._netbanking.decide(on_ramp["redirect_url"], decision))
        await asyncio.gather(*steps)


class Shop(Inhabitant):
    """Takes payments, gives some back, and withdraws."""

    async def do_something(self) -> None:
        """One thing."""
        actions = {self._refund: 10, self.withdraw: 4, self.cancel_withdrawal: 1, self.repeat_something: 2}
        (action,) = self.dice.choices(list(actions), list(actions.values()))
        await action()

    async def _refund(self) -> None:
        payments = self.town.payments.get(self.wallet_id)
        if not payments:
            return
        payment, paid = self.dice.choice(payments)
        body = {} if self.dice.random() < 0.3 else {"amount": self.dice.randint(1, paid)}
        await self.ask("refund", f"/api/v1/transactions/{payment}/refund", body)
