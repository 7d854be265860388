"""What processes use: CPU seconds and memory, from the operating system, by the names of the stack's processes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

from infra.local.leftovers import read_pid
from infra.local.stack import Stack

SAMPLE_SECONDS = 1.0
MIB = 1024 * 1024


def groups(stack: Stack, names: Iterable[str]) -> dict[str, list[psutil.Process]]:
    """The processes of each name: the one in the pid file and its descendants."""
    found = {}
    for name in names:
        pid = read_pid(stack.layout, name)
        if pid is not None:
            with suppress(psutil.NoSuchProcess):
                found[name] = with_descendants(psutil.Process(pid))
    return found


def with_descendants(process: psutil.Process) -> list[psutil.Process]:
    """A process and all that it started, directly or not."""
    return [process, *process.children(recursive=True)]


def cpu_seconds(roots: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """CPU seconds used so far, by name: of the processes with these pids, their living descendants, and those that
    ended and were waited for."""
    return {name: sum(_tree_seconds(pid) for pid in pids) for name, pids in roots.items()}


def _tree_seconds(pid: int) -> float:
    seconds = 0.0
    with suppress(psutil.NoSuchProcess):
        for process in with_descendants(psutil.Process(pid)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


@dataclass
class CpuUse:
    """CPU seconds by process name, once the block of `cpu_used` has ended."""

    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> float:
        """All of it."""
        return sum(self.seconds.values())

    def share(self, names: Iterable[str]) -> float:
        """What part of all CPU these processes used."""
        whole = self.whole
        return sum(self.seconds.get(name, 0.0) for name in names) / whole if whole else 0.0


@contextmanager
def cpu_used(roots: Mapping[str, Iterable[int]]) -> Iterator[CpuUse]:
    """The CPU that each name's processes use while the block runs."""
    pids = {name: list(each) for name, each in roots.items()}
    before = cpu_seconds(pids)
    used = CpuUse()
    yield used
    after = cpu_seconds(pids)
    used.seconds = {name: max(0.0, after[name] - before[name]) for name in pids}


@dataclass
class Memory:
    """Samples of memory: seconds since the start, and MiB of the largest process of each name."""

    at: list[float] = field(default_factory=list)
    mib: dict[str, list[float]] = field(default_factory=dict)

    def largest(self) -> dict[str, float]:
        """The most that a process of each name held."""
        return {name: max(values) for name, values in self.mib.items() if values}

    def slopes(self) -> dict[str, float]:
        """MiB per minute by which the second half of the samples grows, by least squares."""
        half = len(self.at) // 2
        return {name: 60 * slope(self.at[half:], values[half:]) for name, values in self.mib.items()}


def slope(xs: list[float], ys: list[float]) -> float:
    """The slope of the line through the points; 0 when they are too few."""
    if len(xs) < 3 or len(xs) != len(ys):
        return 0.0
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


@contextmanager
def memory_sampled(stack: Stack, names: Iterable[str]) -> Iterator[Memory]:
    """Sample the memory of the stack's processes once a second while the block runs."""
    memory = Memory()
    over = threading.Event()
    chosen = list(names)
    sampler = threading.Thread(target=_sample_until, args=(over, memory, stack, chosen), daemon=True)
    sampler.start()
    try:
        yield memory
    finally:
        over.set()
        sampler.join()


def _sample_until(over: threading.Event, memory: Memory, stack: Stack, names: list[str]) -> None:
    seconds = 0.0
    while not over.wait(SAMPLE_SECONDS):
        seconds += SAMPLE_SECONDS
        memory.at.append(seconds)
        found = groups(stack, names)
        for name in names:
            largest = max(
                (_resident_mib(each, without_shared=name == "postgres") for each in found.get(name, [])), default=0
            )
            memory.mib.setdefault(name, []).append(largest)


def _resident_mib(process: psutil.Process, *, without_shared: bool) -> float:
    """Resident memory. Without what is shared, for Postgres: every process of it counts the same buffers otherwise."""
    try:
        info = process.memory_info()
    except psutil.NoSuchProcess:
        return 0.0
    return max(0, info.rss - (getattr(info, "shared", 0) if without_shared else 0)) / MIB
