"""One run: start a stack, let people live while things break, heal, wait, look, judge."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain

import asyncpg

from chaos.bank import Banks
from chaos.caller import PIN, new_client
from chaos.faults import Breaker
from chaos.journal import Journal
from chaos.judgement import FINAL, Finding, Wrong, judge
from chaos.own_stack import WELCOME_PAISE, OwnStack, usual_slowness
from chaos.people import Person, Shop, Town
from chaos.plan import faults
from chaos.truth import Truth, look, unfinished_rows, waiting_mails
from infra.local import postgres
from infra.local.layout import CHECKOUT
from infra.local.secrets import read_secrets
from shared.banks.table import BANKS

PEOPLE, SHOPS = 10, 2
NEWCOMER_SECONDS = 10.0
LONGEST_THOUGHT_SECONDS = 0.2
"""Between two things that a caller does."""
STUCK_SECONDS = 60.0
"""Whatever has not ended so long after healing is stuck."""
QUIET_SECONDS = 20.0
"""No service works for longer on a request. Then every attempt without an answer has ended, so that asking again is the
last word.
"""
HEAL_SECONDS = 120.0
LOOK_SECONDS = 600.0
COMMAND_SECONDS = 300.0
POLL_SECONDS = 0.5


@dataclass
class Outcome:
    """What a run came to."""

    journal: Journal
    truth: Truth
    findings: list[Finding]
    faults: Counter[str] = field(default_factory=Counter)
    ended_seconds: float = 0
    """From healing until nothing was under way."""
    payouts_in_doubt: int = 0
    """Payouts that a bank made without an answer. Without any, the run has not tried what is hardest."""


class Run:
    """The people, the banks and the breaker of one run."""

    def __init__(self, own: OwnStack, seed: int, say: Callable[[str], None]) -> None:
        slow = usual_slowness()
        secrets = read_secrets(own.layout.secrets_file)
        self._own = own
        self._seed = seed
        self._slowness = slow
        self._say = say
        self._journal = Journal()
        self._town = Town(self._journal)
        self._banks = Banks(own.stack.url("dummy_bank"), secrets, own.layout.home / "dummy_bank.sqlite", slow)
        self._breaker = Breaker(own, self._banks, slow, say)
        self._lives: list[asyncio.Task[None]] = []
        self._clients = {name: new_client(own.stack.url(name), slow) for name in ("user_app", "merchant_app")}

    async def run(self, minutes: float) -> Outcome:
        """All of it."""
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self._banks.close)
            for client in self._clients.values():
                closing.push_async_callback(client.aclose)
            await self._people_come()
            await self._until_money_leaves()
            await self._live_while_things_break(minutes * 60)
            return await self._heal_and_judge()

    async def _people_come(self) -> None:
        self._say(f"{PEOPLE} people and {SHOPS} shops sign up")
        for number in range(PEOPLE):
            person = self._new_person(number)
            await person.sign_up()
            await person.open_pot()
            self._town.people.append(person)
        for number in range(SHOPS):
            profile = self._profile(f"shop{number}") | {"business_name": f"Chai Point {number}", "category": "food"}
            dice = random.Random(f"{self._seed} shop {number}")
            shop = Shop(self._clients["merchant_app"], dice, profile, self._town)
            await shop.sign_up()
            self._town.shops.append(shop)

    async def _until_money_leaves(self) -> None:
        """Wait until the worker pays out: on a busy machine its work begins long after it answers that it is up, and
        without payouts nothing can go wrong with them.
        """
        first = self._town.people[0]
        await first.withdraw()
        try:
            async with asyncio.timeout(HEAL_SECONDS * self._slowness):
                while any(each["status"] not in FINAL for each in await first.get_all("/withdrawals")):
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            self._say("the first payout has not ended: the worker hardly works on this machine")

    async def _live_while_things_break(self, seconds: float) -> None:
        self._say(f"they live for {seconds:.0f} s while things break")
        over = asyncio.Event()
        self._lives = [asyncio.create_task(each.live(over, LONGEST_THOUGHT_SECONDS)) for each in self._town.everyone]
        breaking = asyncio.create_task(self._breaker.carry_out(faults(self._seed), over))
        coming = asyncio.create_task(self._newcomers(over))
        self._lives.append(coming)
        await asyncio.sleep(seconds)
        over.set()
        await breaking

    async def _newcomers(self, over: asyncio.Event) -> None:
        """People who sign up while things break."""
        number = PEOPLE
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), NEWCOMER_SECONDS)
                return
            person = self._new_person(number)
            await person.sign_up()
            self._town.people.append(person)
            self._lives.append(asyncio.create_task(person.live(over, LONGEST_THOUGHT_SECONDS * 4)))
            number += 1

    def _new_person(self, number: int) -> Person:
        profile = self._profile(f"person{number}") | {"first_name": "Asha", "last_name": "Rao"}
        dice = random.Random(f"{self._seed} person {number}")
        return Person(self._clients["user_app"], dice, profile, self._town, self._banks)

    def _profile(self, name: str) -> dict[str, str]:
        return {"email": f"{name}@example.com", "password": f"{name} and the {self._seed} geese", "pin": PIN}

    async def _heal_and_judge(self) -> Outcome:
        began = time.monotonic()
        self._slowness = max(self._slowness, usual_slowness())
        self._say("healing: every fault ends")
        missing = await self._heal()
        healed = time.monotonic()
        until = healed + STUCK_SECONDS * self._slowness
        self._say(f"whole again after {healed - began:.1f} s; callers find out what they were not told")
        with suppress(TimeoutError):
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - healed):
                await self._find_out()
                self._say("every caller knows")
        async with self._connected() as connection, asyncio.timeout(LOOK_SECONDS * self._slowness):
            unfinished = await self._until_nothing_is_under_way(connection, until)
            ended = time.monotonic()
            self._say(f"{ended - healed:.1f} s after healing {len(unfinished)} things are unfinished")
            differences = await self._reconcile(connection)
            truth = await look(
                self._town, self._banks, connection, unfinished=[*missing, *unfinished], welcome=WELCOME_PAISE
            )
            self._say(f"{await waiting_mails(connection)} mails wait to be sent")
        findings = [*judge(self._journal, truth), *differences, *await self._command("made", "prove")]
        in_doubt = self._banks.payouts_in_doubt()
        return Outcome(self._journal, truth, findings, self._breaker.struck, ended - healed, in_doubt)

    async def _heal(self) -> list[str]:
        """End every fault. Returns the processes that are not back in time."""
        try:
            async with asyncio.timeout(HEAL_SECONDS * self._slowness):
                await self._breaker.end()
                while not await asyncio.to_thread(self._own.is_whole):
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            return [f"{name} is not back" for name in self._own.missing()]
        return []

    async def _find_out(self) -> None:
        """Every caller ends what it is about, and then asks again about what it was never told."""
        while under_way := [life for life in self._lives if not life.done()]:
            await asyncio.gather(*under_way)
        for life in self._lives:
            life.result()
        self._say("every caller has ended what it was about")
        doubtful = [request for request in self._journal.requests if not request.is_settled]
        if doubtful:
            await asyncio.sleep(QUIET_SECONDS)
        callers = {caller.name: caller for caller in self._town.everyone}
        await asyncio.gather(*(callers[request.caller].find_out(request) for request in doubtful))

    async def _until_nothing_is_under_way(self, connection: asyncpg.Connection, until: float) -> list[str]:
        """Wait until everything has ended. Returns what has not by then.

        A caller who asks again after healing may begin what was asked for long before. It has as long from then.
        """
        allowed_seconds = STUCK_SECONDS * self._slowness
        last: list[str] = []
        while True:
            rows = await unfinished_rows(connection)
            found = [*rows, *self._banks.unfinished()]
            if not found:
                break
            if time.monotonic() > until and all(age_seconds >= allowed_seconds for age_seconds in rows.values()):
                return found
            last = found
            await asyncio.sleep(POLL_SECONDS)
        self._say(f"the last to end: {last[:3]}")
        return []

    async def _reconcile(self, connection: asyncpg.Connection) -> list[Finding]:
        """Compare with the banks as each night does. A reversal whose notice a bank lost is parked in suspense by that;
        the banks then send what they lost, and the books agree.
        """
        lost = self._banks.lost_notices()
        if lost:
            await self._compare_with_banks()
            self._say(f"the banks send {len(lost)} notices that they had lost")
            await self._banks.send(lost)
            await self._until_nothing_is_under_way(connection, time.monotonic() + STUCK_SECONDS * self._slowness)
        return await self._compare_with_banks()

    async def _compare_with_banks(self) -> list[Finding]:
        found = [await self._command("lost", "reconcile", "--bank", bank, "--grace-seconds", "0") for bank in BANKS]
        return list(chain.from_iterable(found))

    async def _command(self, wrong: Wrong, *arguments: str) -> list[Finding]:
        """Run `batua` as an operator does. A finding if it fails."""
        command = [sys.executable, "-m", "infra.cli.main", *arguments]
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=CHECKOUT,
            env=self._own.stack.environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS * self._slowness,
            check=False,
        )
        self._say(f"batua {' '.join(arguments)}: {done.stdout.strip()}{done.stderr.strip()}")
        return [] if done.returncode == 0 else [Finding(wrong, f"batua {arguments[0]}: {done.stdout}{done.stderr}")]

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self._own.stack.database_url(postgres.SUPERUSER), command_timeout=60)
        try:
            yield connection
        finally:
            await connection.close()
