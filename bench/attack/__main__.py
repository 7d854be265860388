"""`make attack`: what a stranger's sign-in and payments take while one attacker does the worst, beside peace.

Starts a stack of its own on loopback, attacks it in each way for some seconds, and proves the books. The stranger is
measured in peace right before each attack, and then during it. Both stand for other machines: the attacker's own work
comes after that of the services, and the stranger's before it, where the user who runs this may say so (root).

Exits non-zero when the stranger is refused, when an attack leaves much in Redis, when the books are not right, or when
the goal is missed: of each kind of request, the median during the attack is at most three times the median in peace,
and the slowest at most three times the slowest in as much peace, which is the median of those before all attacks: that
of one differs twofold from the next by chance. Other work on the machine delays either, by chance, so the
goal is judged only where that took a small share of the CPU meanwhile, which the table shows; `--report-only` never
judges it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import psutil
from redis import Redis
from rich.console import Console
from rich.table import Table

from bench.attack.attacks import ATTACKS, Answers, Attack, Target, check_pins, fill_redis
from bench.attack.stranger import Stranger, Times
from bench.listening import processes_of, wait_until_all_listen
from bench.measure import cpu_used
from bench.stack import proven, started_stack
from infra.demo.actors import PIN, Holder
from infra.local.launch import AUTOGROUP
from infra.local.stack import ALL, Stack

GOAL = 3.0
"""Times what it takes in peace."""
SECONDS = 9.0
"""In peace, and again under attack: the slowest of more requests is slower."""
REHEARSED = tuple(attack for attack in ATTACKS if attack.run in (fill_redis, check_pins) and not attack.redis)
REHEARSED_SECONDS = 1.0
CALM_SECONDS = 2.0
"""After an attack, before the next measurement in peace."""
STOP_SECONDS = 90.0
HIGHEST_PRIORITY, LOWEST_PRIORITY = -20, 19
QUIET = 0.1
"""Share of the CPU that other work may use: more decides a comparison of times by chance."""
MOST_IN_REDIS_BYTES = 8 * 1024 * 1024
"""What one attack may add to Redis."""
PROCESSES = tuple(name for name in ALL if name not in ("merchant_app", "bank_webhook"))
SETTINGS = {"BATUA_WELCOME_BALANCE_PAISE": "10000000"}
FILE_COLUMNS = 150
"""How wide the table is where no terminal says it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one attack did."""

    attack: str
    answers: Answers
    redis_bytes: int
    """By how much Redis grew."""
    peace: Times
    during: Times
    others: float
    """Share of the CPU that other work used, in peace or during the attack, whichever was more."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report-only", action="store_true", help="a goal that is not reached is no failure")
    parser.add_argument("--only", default="", help="attacks whose name contains this")
    chosen = parser.parse_args()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=FILE_COLUMNS)
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="batua-attack-") as home:
        console.print("Starting Batua")
        stack = started_stack(Path(home), PROCESSES, SETTINGS)
        try:
            wait_until_all_listen(stack.pid("user_app"), processes_of(stack))
            with before_all_others():
                stranger = Stranger(stack.url("user_app"))
                rehearse(stack, stranger)
                chosen_ones = [attack for attack in ATTACKS if chosen.only in attack.name]
                findings = [attacked(stack, stranger, attack, console) for attack in chosen_ones]
                stranger.close()
            proof = asyncio.run(proven(stack))
        finally:
            stack.stop()
    console.print(table(findings))
    wrong = [f"The stranger was refused: {answer}" for answer in dict.fromkeys(stranger.refusals)]
    wrong += [f"{each.attack}: Redis grew by {each.redis_bytes:,} bytes" for each in findings if grows(each)]
    wrong += [] if proof.ok else [f"The books are wrong: {proof.failed}"]
    for line in wrong or ["The stranger was never refused, Redis holds what it held, and the books are right."]:
        console.print(line)
    return 1 if wrong or (misses(findings) and not chosen.report_only) else 0


def rehearse(stack: Stack, stranger: Stranger) -> None:
    """Let the services do what they will do under attack, as those do that have run for a while: processes that have
    just started have yet to open connections to Postgres, which has yet to plan their statements."""
    for attack in REHEARSED:
        with running(attack, target_of(stack, stranger)) as attacker:
            attacker.begin()
            time.sleep(REHEARSED_SECONDS)
            attacker.stop()


def target_of(stack: Stack, stranger: Stranger) -> Target:
    """What a new attacker is after."""
    url = stack.url("user_app")
    mallory = Holder(url, first_name="Mallory", last_name="Rao")
    pin_token = mallory.post("/auth/pin", {"pin": PIN}, expect_status=HTTPStatus.OK).json()["pin_token"]
    mallory.close()
    return Target(url, mallory.token, pin_token, str(stranger.holder.profile["email"]), stranger.holder.wallet_id)


def attacked(stack: Stack, stranger: Stranger, attack: Attack, console: Console) -> Finding:
    """Measure in peace, then while the attack goes on."""
    target = target_of(stack, stranger)
    console.print(f"In peace, for {SECONDS:.0f} s; then as long: {attack.name}")
    stranger.measure(lambda: True)  # warm
    with other_work() as around_peace:
        peace = stranger.measure(_after(SECONDS))
    with redis_set(stack, attack) as redis, other_work() as around_attack:
        before = redis.info("memory")["used_memory"]
        with running(attack, target) as attacker:
            is_time = _after(SECONDS)
            during = stranger.measure(lambda: is_time() or attacker.has_ended(), attacker.begin)
            grown = redis.info("memory")["used_memory"] - before
            answers = attacker.stop()
    time.sleep(CALM_SECONDS)
    return Finding(attack.name, answers, grown, peace, during, max(around_peace.share, around_attack.share))


@dataclass(slots=True)
class OtherWork:
    """What other processes of the machine did while the block of `other_work` ran."""

    share: float = 0.0
    """Of the CPU of all cores."""


@contextmanager
def other_work() -> Iterator[OtherWork]:
    """Measures how busy the machine is with what is not ours."""
    found = OtherWork()
    began, busy = time.monotonic(), _busy_seconds()
    with cpu_used({"ours": [os.getpid()]}) as used:
        yield found
    others = _busy_seconds() - busy - used.whole
    found.share = max(0.0, others / (time.monotonic() - began) / (os.cpu_count() or 1))


def _busy_seconds() -> float:
    """CPU seconds that the machine worked, or that its host took from it."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0) - getattr(times, "guest", 0))


@dataclass(frozen=True, slots=True)
class Attacker:
    """The process that attacks."""

    may_begin: Event
    is_over: Event
    ours: Connection

    def begin(self) -> None:
        """Let it attack: until then, it waits."""
        self.may_begin.set()

    def has_ended(self) -> bool:
        """Whether it has done all that it wanted."""
        return self.ours.poll()

    def stop(self) -> Answers:
        """What it was answered."""
        self.is_over.set()
        if not self.ours.poll(STOP_SECONDS):
            raise SystemExit("the attack does not end")
        answers: Answers = self.ours.recv()
        return answers


@contextmanager
def running(attack: Attack, target: Target) -> Iterator[Attacker]:
    """The attack in a process of its own, until the end of the block."""
    may_begin, is_over = multiprocessing.Event(), multiprocessing.Event()
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=_attack, args=(attack, target, may_begin, is_over, theirs))
    process.start()
    try:
        yield Attacker(may_begin, is_over, ours)
    finally:
        is_over.set()
        may_begin.set()
        process.join(STOP_SECONDS)
        process.kill()
        process.join()


def _attack(attack: Attack, target: Target, may_begin: Event, is_over: Event, theirs: Connection) -> None:
    _leave_the_cores_to_others()
    answers = Answers()
    may_begin.wait()
    asyncio.run(attack.run(target, is_over.is_set, answers))
    theirs.send(answers)


@contextmanager
def before_all_others() -> Iterator[None]:
    """The stranger is on another machine: its own work waits neither for the services nor for a collection of garbage.

    Only root may go first. The session, which has others of the user's programs, gets back the niceness that it had.
    """
    gc.collect()
    gc.freeze()
    own, session = os.getpriority(os.PRIO_PROCESS, 0), _niceness_of_session()
    with suppress(OSError):
        _set_priority(HIGHEST_PRIORITY, HIGHEST_PRIORITY)
    try:
        yield
    finally:
        with suppress(OSError):
            _set_priority(own, session)
        gc.unfreeze()


def _leave_the_cores_to_others() -> None:
    """An attacker is on another machine: its own work takes no CPU from the services, nor from the stranger."""
    with suppress(OSError):
        os.setsid()
    _set_priority(LOWEST_PRIORITY, LOWEST_PRIORITY)


def _set_priority(own: int, session: int) -> None:
    """The niceness of this process, and of its session where the kernel shares the CPU between sessions."""
    os.setpriority(os.PRIO_PROCESS, 0, own)
    with suppress(OSError):  # there may be none, and Linux lets a process that is not root's set it once in 0.1 s
        AUTOGROUP.write_text(f"{session}")


def _niceness_of_session() -> int:
    return int(AUTOGROUP.read_text().split()[-1]) if AUTOGROUP.exists() else 0


@contextmanager
def redis_set(stack: Stack, attack: Attack) -> Iterator[Redis]:
    """Redis with the settings of the attack, which it does not keep."""
    with Redis.from_url(stack.environment()["BATUA_REDIS_URL"]) as redis:
        usual = {name: redis.config_get(name)[name] for name in attack.redis}
        for name, value in attack.redis.items():
            redis.config_set(name, value)
        try:
            yield redis
        finally:
            for name, value in usual.items():
                redis.config_set(name, value)


def _after(seconds: float) -> Callable[[], bool]:
    ends_at = time.monotonic() + seconds
    return lambda: time.monotonic() >= ends_at


def slowest_in_peace(findings: list[Finding], kind: str) -> float:
    """Seconds of the slowest request in SECONDS of peace: the median of all that were measured."""
    return statistics.median(max(each.peace[kind]) for each in findings)


def ratios(finding: Finding, kind: str, slowest_in_peace: float) -> tuple[float, float]:
    """How many times as long as in peace: the median, and the slowest."""
    peace, during = finding.peace[kind], finding.during[kind]
    return statistics.median(during) / statistics.median(peace), max(during) / slowest_in_peace


def misses(findings: list[Finding]) -> bool:
    """Whether the goal is missed where it is judged."""
    return any(
        is_judged(each) and max(ratios(each, kind, slowest_in_peace(findings, kind))) > GOAL
        for each in findings
        for kind in each.peace
    )


def is_judged(finding: Finding) -> bool:
    """Whether the machine was quiet enough to compare times."""
    return finding.others <= QUIET


def grows(finding: Finding) -> bool:
    """Whether Redis holds much that the attacker brought."""
    return finding.redis_bytes > MOST_IN_REDIS_BYTES


def table(findings: list[Finding]) -> Table:
    """Milliseconds in peace and under each attack."""
    shown = Table(
        title=f"A stranger's requests, median / slowest; goal: {GOAL:.0f} times at most", title_justify="left"
    )
    for name in ("attack", "was answered", "Redis", "other work", "the stranger's"):
        shown.add_column(name)
    for name in ("in peace, ms", "during, ms", "times"):
        shown.add_column(name, justify="right")
    shown.add_column("")
    for finding in findings:
        told = ", ".join(f"{count:,} of {answer}" for answer, count in sorted(finding.answers.items()))
        names = [finding.attack, told, f"{finding.redis_bytes / 1024:+,.0f} KiB", f"{finding.others:.0%}"]
        for kind in finding.peace:
            peace, during = (
                f"{statistics.median(times) * 1000:.0f} / {max(times) * 1000:.0f}"
                for times in (finding.peace[kind], finding.during[kind])
            )
            median, slowest = ratios(finding, kind, slowest_in_peace(findings, kind))
            missed = "[red]not met[/]" if is_judged(finding) else "not judged"
            verdict = "[green]met[/]" if max(median, slowest) <= GOAL else missed
            shown.add_row(*names, kind, peace, during, f"{median:.1f} / {slowest:.1f}", verdict)
            names = [""] * len(names)
        shown.add_section()
    return shown


if __name__ == "__main__":
    sys.exit(main())
