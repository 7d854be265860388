"""Carry out the plan: kill, pause and cut the processes of the own stack, and have the banks misbehave."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress

import asyncpg
import psutil

from chaos.bank import Banks
from chaos.connections import CannotCut, cut
from chaos.own_stack import OwnStack
from chaos.plan import SERVICES, STORES, Fault
from infra.local import postgres
from infra.local.errors import StackError
from shared.banks.table import BANKS

BROKER_AWAY_SECONDS = 2.0
STRETCHED_AT_MOST = 2.0
"""On a slow machine faults come more seldom, since a process takes longer to come back, but no more than so much."""


class Breaker:
    """Breaks the stack and the banks, and can end all of it."""

    def __init__(self, own: OwnStack, banks: Banks, slowness: float, say: Callable[[str], None]) -> None:
        self.struck: Counter[str] = Counter()
        """How often each kind of fault struck."""
        self.connections_cut = 0
        self._own = own
        self._banks = banks
        self._slowness = slowness
        self._say = say
        self._paused: set[psutil.Process] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._of_bank: dict[str, Fault] = {}

    async def carry_out(self, plan: Iterator[Fault], over: asyncio.Event) -> None:
        """One fault after the other, each after its gap, until it is over."""
        for fault in plan:
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), fault.gap_seconds * min(self._slowness, STRETCHED_AT_MOST))
                return
            self._say(str(fault))
            task = asyncio.create_task(self._strike(fault))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """End every fault: what is paused goes on, the banks behave, the broker runs."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._resume(list(self._paused))
        await asyncio.to_thread(self._own.start_broker)
        await asyncio.gather(*(self._banks.misbehave(bank, {}) for bank in BANKS))

    async def _strike(self, fault: Fault) -> None:
        self.struck[fault.kind] += 1
        try:
            await self._carry_out(fault)
        except (StackError, psutil.Error, ProcessLookupError) as error:
            self._say(f"  {fault} found nothing: {type(error).__name__}")

    async def _carry_out(self, fault: Fault) -> None:
        match fault.kind:
            case "kill":
                await self._kill(fault)
            case "kill one":
                _signal((await asyncio.to_thread(self._own.processes, fault.target))[:1], signal.SIGKILL)
            case "terminate":
                os.kill(self._own.stack.pid(fault.target), signal.SIGTERM)
            case "pause":
                await self._pause(fault)
            case "cut":
                await self._cut(fault)
            case "bank":
                await self._misbehave(fault)
            case "postgres":
                await self._end_postgres(fault)
            case "power cut":
                await self._cut_power()

    async def _kill(self, fault: Fault) -> None:
        if fault.target == "broker":
            await self._kill_broker()
        else:
            await asyncio.to_thread(self._own.stack.kill, fault.target)

    async def _kill_broker(self) -> None:
        _signal(self._own.processes("broker"), signal.SIGKILL)
        try:
            await asyncio.sleep(BROKER_AWAY_SECONDS)
        finally:
            await asyncio.to_thread(self._own.start_broker)

    async def _pause(self, fault: Fault) -> None:
        processes = await asyncio.to_thread(self._own.processes, fault.target)
        for process in processes:
            with suppress(psutil.Error):
                process.suspend()
                self._paused.add(process)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self._resume(processes)

    def _resume(self, processes: list[psutil.Process]) -> None:
        for process in processes:
            with suppress(psutil.Error):
                process.resume()
            self._paused.discard(process)

    async def _cut(self, fault: Fault) -> None:
        to = fault.details["to"]
        ports = {"own_port": self._own.port(fault.target)} if to == "callers" else {"to_port": self._own.port(to)}
        try:
            await asyncio.to_thread(self._cut_all, fault.target, ports)
        except CannotCut as reason:
            self._say(f"  sockets cannot be taken here: {reason}")
            if to == "postgres":
                await self._end_sessions(fault.target)

    def _cut_all(self, target: str, ports: dict[str, int]) -> None:
        self.connections_cut += sum(cut(each, **ports) for each in self._own.processes(target))

    async def _end_sessions(self, role: str) -> None:
        """Where sockets cannot be taken, Postgres itself can end the sessions of a service."""
        with suppress(OSError, asyncpg.PostgresError):
            connection = await asyncpg.connect(self._own.stack.database_url(postgres.SUPERUSER), timeout=5)
            await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role)
            await connection.close()

    async def _misbehave(self, fault: Fault) -> None:
        self._of_bank[fault.target] = fault
        await self._banks.misbehave(fault.target, fault.details)
        await asyncio.sleep(fault.seconds)
        if self._of_bank[fault.target] is fault:  # no later fault has taken its place
            await self._banks.misbehave(fault.target, {})

    async def _end_postgres(self, fault: Fault) -> None:
        found = await asyncio.to_thread(self._own.processes, "postgres")
        server, backends = found[:1], found[1:]
        match fault.details["way"]:
            case "one backend":  # the server then ends all others and recovers
                _signal(backends[-1:], signal.SIGKILL)
            case "immediate shutdown":
                _signal(server, signal.SIGQUIT)
            case _:
                _signal(server, signal.SIGKILL)

    async def _cut_power(self) -> None:
        names = ("postgres", *SERVICES, *(store for store in STORES if store != "broker"))
        found = await asyncio.to_thread(lambda: [self._own.processes(name) for name in names])
        _signal([process for processes in found for process in processes], signal.SIGKILL)
        await self._kill_broker()


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)
