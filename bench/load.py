"""Put load on a server: by wrk where it is installed, otherwise by bench/client.py. Both send the same requests.

The load is bounded: so many connections for so many seconds, to loopback only.
"""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import uvloop

from bench import client, requests
from shared.ids import new_token

CONNECTIONS = 64
LONGEST_ANSWER_SECONDS = 30
_SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What came back. A rejected answer has a status of 400 or more; a broken one did not come."""

    answers: int
    seconds: float
    rejected: int = 0
    broken: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    generator_seconds: float = 0.0
    """CPU that sending and counting took."""

    @property
    def per_second(self) -> float:
        """Accepted answers a second."""
        return (self.answers - self.rejected) / self.seconds if self.seconds else 0.0


def generator() -> str:
    """The load generator of this machine."""
    return "wrk" if shutil.which("wrk") else "bench/client.py"


def keep_busy(url: str, sent: Sequence[bytes], *, seconds: float, folder: Path, connections: int = CONNECTIONS) -> Load:
    """Each connection sends its next request as soon as it has an answer: the peak."""
    if shutil.which("wrk"):
        return _run_wrk(url, sent, seconds, folder, connections)
    turns = requests.in_turn(sent, f"{new_token(6)}-")
    return _run(lambda: client.keep_busy(url, turns, connections=connections, seconds=seconds))


def use_up(url: str, sent: Sequence[bytes], *, seconds: float, connections: int = CONNECTIONS) -> Load:
    """As `keep_busy`, but each request is sent once at most, and those under way at the end are waited for."""
    once = islice(requests.in_turn(sent, f"{new_token(6)}-"), len(sent))
    return _run(lambda: client.keep_busy(url, once, connections=connections, seconds=seconds))


def pace(url: str, sent: Sequence[bytes], *, seconds: float, per_second: float, connections: int = CONNECTIONS) -> Load:
    """Requests at random moments, so many a second, each timed from when it was due."""
    turns = requests.in_turn(sent, f"{new_token(6)}-")
    return _run(lambda: client.pace(url, turns, connections=connections, seconds=seconds, per_second=per_second))


def one_by_one(url: str, sent: Sequence[bytes], *, count: int) -> Load:
    """So many requests, one after another with pauses: the idle system."""
    turns = requests.in_turn(sent, f"{new_token(6)}-")
    return _run(lambda: client.one_by_one(url, turns, count=count, pause_seconds=0.005))


def read_wrk(output: str) -> Load:
    """What `done` of wrk.lua printed, on the last line that is JSON."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError(f"wrk printed no result: {output[-500:]}")
    return Load(**json.loads(lines[-1]))


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The value that this share of the sorted values does not exceed; 0 of nothing."""
    if not sorted_values:
        return 0.0
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def _run_wrk(url: str, sent: Sequence[bytes], seconds: float, folder: Path, connections: int) -> Load:
    file = folder / "requests"
    requests.write(file, sent)
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{max(1, round(seconds))}s"]
    command += ["--timeout", f"{LONGEST_ANSWER_SECONDS}s", "--script", str(_SCRIPT), url, "--", str(file)]
    before = children_seconds()
    result = subprocess.run(
        [*command, f"{new_token(6)}-"],
        capture_output=True,
        text=True,
        timeout=seconds + 2 * LONGEST_ANSWER_SECONDS,
        check=True,
    )
    return replace(read_wrk(result.stdout), generator_seconds=children_seconds() - before)


def children_seconds() -> float:
    """CPU seconds of the programs that the bench ran to their end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(work: Callable[[], Coroutine[Any, Any, client.Tally]]) -> Load:
    before = time.process_time()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tally = runner.run(work())
    return replace(_of(tally), generator_seconds=time.process_time() - before)


def _of(tally: client.Tally) -> Load:
    took = sorted(tally.took)
    return Load(
        answers=len(took),
        seconds=tally.seconds,
        rejected=tally.rejected,
        broken=tally.broken,
        p50_ms=percentile(took, 0.5) * 1000,
        p99_ms=percentile(took, 0.99) * 1000,
    )
