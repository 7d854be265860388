"""While others ask, the requests that one network address begins take a quarter of an event loop at most.

A caller with many connections can ask on all of them in the same instant. Each request costs the loop a millisecond or
more, in several steps, so without a share the requests of all others wait at each of their own steps until the loop has
worked on the last of those, and each wakes Postgres to compete for the same cores.

What the requests of an address use is measured, but for tasks that they start. The next one begins when that is rested
for: three seconds for each second of work. A request that has begun, and is whole, is not made to wait: it may hold a
lock or a connection of the database.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Generator
from time import monotonic
from typing import Any, NamedTuple

from starlette.types import Message, Receive, Scope

from shared.callers import CallerLeft, WhileWanted
from shared.http.client_address import CallerNetworks
from shared.runtime.recent_callers import RecentCallers

SHARE = 0.25
"""Of the time of an event loop."""
EXPECTED_SECONDS = 0.004
"""What a request is taken to cost until it has cost more, or has ended."""
CREDIT_SECONDS = 0.032
"""So much earlier may a request begin, if the address has rested: three at once, as of a page and what it shows."""
RECENT_SECONDS = 0.1
"""For so long an address that was served counts as one that asks."""
LONGEST_REST_SECONDS = 1.0
"""After whatever an address has used, the first of its requests that wait begins by then. If none costs more than
expected, each after it begins EXPECTED_SECONDS / SHARE later at most."""
MOST_REMEMBERED = 10_000
"""Addresses of one process, about 500 bytes each. The one that asked the longest ago makes room."""
SHORTEST_WAIT_SECONDS = 0.001


class FairShare:
    """The addresses that one process serves."""

    def __init__(self, recent: RecentCallers, networks: CallerNetworks) -> None:
        self._recent = recent
        self._networks = networks
        self._without_share = _Address(0, recent, has_share=False)
        self._addresses: OrderedDict[str, _Address] = OrderedDict()  # the one that asked the longest ago first

    def __len__(self) -> int:
        return len(self._addresses)

    def request(self, scope: Scope) -> SharedRequest:
        """The request of this scope, by the network of its caller."""
        return self.request_of(self._networks.of(scope))

    def request_of(self, network: str | None) -> SharedRequest:
        """A request of this network. None, for a proxy that speaks for many, has no share, and counts as another."""
        return SharedRequest(self._without_share if network is None else self._address(network))

    def _address(self, network: str) -> _Address:
        found = self._addresses.get(network)
        if found is None:
            if len(self._addresses) >= MOST_REMEMBERED:
                self._addresses.popitem(last=False)
            caller = int.from_bytes(hashlib.blake2b(network.encode(), digest_size=8).digest())
            found = self._addresses[network] = _Address(caller, self._recent, has_share=True)
        else:
            self._addresses.move_to_end(network)
        return found


class SharedRequest:
    """One request. What `measured` runs is on the account of its address.

    `has_left`: its caller hung up while the body waited.
    """

    __slots__ = ("_address", "_charge", "_unused_seconds", "has_left")

    def __init__(self, address: _Address) -> None:
        self.has_left = False
        self._address = address
        self._charge = _NOTHING
        self._unused_seconds = 0.0

    async def wait_for_turn(self) -> None:
        """Return when the request may begin. Raises CallerLeft."""
        self.end()
        self._charge = await self._address.turn()
        self._unused_seconds = EXPECTED_SECONDS

    def receiving(self, receive: Receive) -> Receive:
        """The same `receive`, which waits for another turn when the body is whole.

        Else a caller could begin many requests one after the other, and send the last byte of all bodies at once.
        """

        async def receive_in_turn() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                try:
                    await self.wait_for_turn()
                except CallerLeft:
                    self.has_left = True
                    return {"type": "http.disconnect"}
            return message

        return receive_in_turn

    def measured(self, coroutine: Coroutine[Any, Any, None]) -> _Measured:
        """The same coroutine, to be awaited."""
        return _Measured(coroutine, self)

    def work(self, began: float, ended: float) -> None:
        """The loop has worked on it between these times."""
        seconds = ended - began
        expected = min(seconds, self._unused_seconds)
        self._unused_seconds -= expected
        self._address.work(seconds - expected, ended)

    def end(self) -> None:
        """It costs no more."""
        if self._unused_seconds:
            self._address.give_back(self._unused_seconds, self._charge)
            self._unused_seconds = 0.0


class _Charge(NamedTuple):
    """For a request that begins: seconds of rest, and when they are over."""

    seconds: float
    paid_at: float


_NOTHING = _Charge(0.0, 0.0)


class _Measured(Generator[Any, None, None]):
    """Runs a coroutine as `await` does, and measures each step: what it does from one wait to the next."""

    __slots__ = ("_coroutine", "_request")

    def __init__(self, coroutine: Coroutine[Any, Any, None], request: SharedRequest) -> None:
        self._coroutine = coroutine
        self._request = request

    def __await__(self) -> Generator[Any, None, None]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: None) -> Any:
        """Run a step."""
        return self._run(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Run a step that begins with an error."""
        return self._run(self._coroutine.throw, *error)

    def _run(self, resume: Callable[..., Any], *given: Any) -> Any:
        began = monotonic()
        try:
            return resume(*given)
        finally:
            self._request.work(began, monotonic())

    def close(self) -> None:
        """End it where it waits."""
        self._coroutine.close()


class _Address:
    """What one address has used, and its requests that wait for their turn, in the order in which they came."""

    __slots__ = ("_caller", "_has_share", "_paid_at", "_recent", "_timer", "_waiting")

    def __init__(self, caller: int, recent: RecentCallers, *, has_share: bool) -> None:
        self._caller = caller
        self._recent = recent
        self._has_share = has_share
        self._paid_at = 0.0
        self._waiting: OrderedDict[asyncio.Future[_Charge], None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self) -> _Charge:
        now = monotonic()
        if not self._waiting and self._may_begin(now):
            return self._charge(EXPECTED_SECONDS, now)
        turn: asyncio.Future[_Charge] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = None
        if self._timer is None:
            self._set_timer(now)
        try:
            with WhileWanted():
                return await turn
        finally:
            self._waiting.pop(turn, None)

    def work(self, seconds: float, now: float) -> None:
        if seconds:
            self._charge(seconds, now)
        self._recent.note(self._caller, now)

    def give_back(self, seconds: float, charge: _Charge) -> None:
        """What was charged for these seconds and is not rested for yet."""
        now = monotonic()
        self._paid_at -= max(0.0, min(seconds / SHARE, charge.seconds, charge.paid_at - now))
        if self._waiting and self._timer is not None:
            self._timer.cancel()
            self._set_timer(now)

    def _may_begin(self, now: float) -> bool:
        if self._paid_at <= now or not self._has_share:
            return True
        return not self._recent.others_since(self._caller, now - RECENT_SECONDS)

    def _charge(self, seconds: float, now: float) -> _Charge:
        before = max(self._paid_at, now - CREDIT_SECONDS)
        self._paid_at = max(before, min(before + seconds / SHARE, now + LONGEST_REST_SECONDS))
        return _Charge(self._paid_at - before, self._paid_at)

    def _set_timer(self, now: float) -> None:
        # Looks again before it is paid for: the others may have gone.
        delay = min(max(self._paid_at - now, SHORTEST_WAIT_SECONDS), RECENT_SECONDS)
        self._timer = asyncio.get_running_loop().call_later(delay, self._let_in)

    def _let_in(self) -> None:
        self._timer = None
        now = monotonic()
        while self._waiting and self._may_begin(now):
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(self._charge(EXPECTED_SECONDS, now))
        if self._waiting:
            self._set_timer(now)
