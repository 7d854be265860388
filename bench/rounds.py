"""Measure: put load on a service, a reference application or pgbench, and keep what came back and what it cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench import load, pgbench
from bench.figures import median
from bench.load import Load
from bench.measure import CpuUse, cpu_used
from bench.servers import ReferenceServer
from bench.stack import REFERENCE, Bench
from infra.local.layout import PROCESSES
from infra.local.leftovers import read_pid
from shared.outbox.queue import LULL_SECONDS

QUIET_SHARE = 0.1
"""Of one core: with less, the stack counts as idle and the next measurement begins."""
QUIET_SECONDS = LULL_SECONDS + 1.0
"""For so long: mail about a load begins when no more has come for LULL_SECONDS."""
PATIENCE_SECONDS = 20.0
WARM_UP_SECONDS = 1.0
LOAD_GENERATOR = "load generator"
TOO_FEW, LONGER = 2, 5
"""With fewer than so many answers per connection a measurement says nothing: it is repeated, so many times longer."""


@dataclass
class Measured:
    """One kind of work: what came back in each round, and the CPU it took. `pieces`: transfers per answer."""

    pieces: int = 1
    loads: list[Load] = field(default_factory=list)
    used: list[CpuUse] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Pieces of work a second, the median of the rounds."""
        return median([each.per_second * self.pieces for each in self.loads])

    def cpu_ms(self, name: str) -> float:
        """CPU milliseconds per piece of work of the processes of this name, the median of the rounds."""
        counts = [max(1, each.answers - each.rejected) * self.pieces for each in self.loads]
        pairs = zip(self.used, counts, strict=True)
        return median([1000 * use.seconds.get(name, 0.0) / count for use, count in pairs])

    @property
    def whole_cpu_ms(self) -> float:
        """CPU milliseconds per piece of work of everything that took part, the load generator included."""
        return sum(self.cpu_ms(name) for name in self.used[0].seconds) if self.used else 0.0

    def milliseconds(self, name: str) -> float:
        """The median of the rounds of `p50_ms` or `p99_ms`."""
        return median([getattr(each, name) for each in self.loads])


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests go, and the pids of the processes whose CPU is counted, by name."""

    url: str
    pids: Mapping[str, Sequence[int]]


class Rounds:
    """Measures and keeps what was found, by the name of the work."""

    def __init__(self, bench: Bench, *, seconds: float, say: Callable[[str], None]) -> None:
        self.bench = bench
        self.seconds = seconds
        self.say = say
        self.found: dict[str, Measured] = {}
        self.notes: list[str] = []
        self._warm: set[str] = set()

    @property
    def stack_pids(self) -> dict[str, list[int]]:
        """The pid of each process of the stack."""
        pids = {name: read_pid(self.bench.stack.layout, name) for name in PROCESSES}
        return {name: [pid] for name, pid in pids.items() if pid is not None}

    @property
    def _postgres(self) -> dict[str, list[int]]:
        return {"postgres": self.stack_pids["postgres"]}

    def measure(self, name: str, process: str, sent: Sequence[bytes]) -> Load:
        """Load one service of the stack with these requests."""
        return self._measure(name, Place(self.bench.stack.url(process), self.stack_pids), sent)

    def measure_reference(self, name: str, server: ReferenceServer, sent: Sequence[bytes]) -> Load:
        """Load a reference application."""
        return self._measure(name, Place(server.url, {"reference": server.pids, **self._postgres}), sent)

    def measure_once(
        self,
        name: str,
        process: str,
        sent: Sequence[bytes],
        *,
        seconds: float,
        connections: int = load.CONNECTIONS,
        pieces: int = 1,
    ) -> Load:
        """Load one service with requests that are sent once each, or with as many as so many seconds allow."""
        with cpu_used(self.stack_pids) as used:
            came = load.use_up(self.bench.stack.url(process), sent, seconds=seconds, connections=connections)
        return self.keep(name, came, used, pieces)

    def measure_pgbench(self, name: str, *, to_shop: bool, protocol: pgbench.Protocol = "prepared") -> None:
        """Run pgbench on the copy of the database."""
        seconds, folder = self.seconds, self.bench.folder
        url = self.bench.stack.database_url(database=REFERENCE)
        people = len(self.bench.people)
        before = load.children_seconds()
        with cpu_used(self._postgres) as used:
            ran = pgbench.run(url, people=people, to_shop=to_shop, seconds=seconds, folder=folder, protocol=protocol)
        cost = load.children_seconds() - before
        self.keep(name, Load(ran.transactions, ran.transactions / ran.per_second, generator_seconds=cost), used)

    def settle(self) -> None:
        """Wait until the stack has had no work for QUIET_SECONDS: a reference must not pay for our mail.

        It waits for PATIENCE_SECONDS at most.
        """
        began = quiet_since = time.monotonic()
        while (now := time.monotonic()) - began < PATIENCE_SECONDS:
            if now - quiet_since >= QUIET_SECONDS:
                return
            with cpu_used(self.stack_pids) as used:
                time.sleep(0.5)
            if used.whole / (time.monotonic() - now) >= QUIET_SHARE:
                quiet_since = time.monotonic()
        self.notes.append(
            f"{PATIENCE_SECONDS:.0f} s after a load the stack was still at work: the next figure is too low"
        )

    def keep(self, name: str, came: Load, used: CpuUse, pieces: int = 1) -> Load:
        """Remember what came back and what it cost."""
        found = self.found.setdefault(name, Measured(pieces))
        used.seconds[LOAD_GENERATOR] = came.generator_seconds
        found.loads.append(came)
        found.used.append(used)
        if came.rejected or came.broken:
            self.notes.append(f"{name}: {came.rejected} answers rejected, {came.broken} not answered")
        self.say(
            f"  {name}: {came.per_second * pieces:,.0f} a second"
            + (f", p50 {came.p50_ms:.1f} ms, p99 {came.p99_ms:.1f} ms" if came.p50_ms else "")
            + (f", {came.rejected} rejected" if came.rejected else "")
        )
        return came

    def _measure(self, name: str, place: Place, sent: Sequence[bytes]) -> Load:
        folder = self.bench.folder
        if name not in self._warm:  # statements are prepared, templates compiled and connections opened once
            self._warm.add(name)
            load.keep_busy(place.url, sent, seconds=WARM_UP_SECONDS, folder=folder)
        for seconds in (self.seconds, LONGER * self.seconds):
            with cpu_used(place.pids) as used:
                came = load.keep_busy(place.url, sent, seconds=seconds, folder=folder)
            if came.answers >= TOO_FEW * load.CONNECTIONS:
                break
        return self.keep(name, came, used, 1)
