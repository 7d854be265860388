"""`make bench`: how fast Batua is on this machine, beside references that run in the same minutes.

Prints the figures, writes `bench/results.json` and proves the books afterwards. A goal that is not reached is shown and
is no failure: how long things take is the machine's affair. It fails when the books are not right.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import goals, history, phases, report
from bench.measure import memory_sampled
from bench.references.thin import DATABASE_URL
from bench.rounds import Rounds
from bench.servers import serving
from bench.stack import HELLO_PORT_OFFSET, REFERENCE, THIN_PORT_OFFSET, proven, running_bench, started_stack

FILE_COLUMNS = 150
"""How wide the tables are where no terminal says it."""
HISTORY = ("statement, newest", "statement, anywhere", "balance as of a moment", "dashboard")
"""The reads of a long history that have a row; `python -m bench.history` shows them all."""
HELLO, THIN = "bench.references.hello:create_app", "bench.references.thin:create_app"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each measurement takes, in seconds, and how often it is repeated."""

    seconds: float
    rounds: int
    other_rounds: int
    latency_seconds: float
    mail_seconds: float
    """0: the last mail is not waited for."""
    payouts: int
    payees: int
    memory_seconds: float
    """0: memory is sampled during the other measurements only."""


WHOLE = Plan(
    seconds=10,
    rounds=3,
    other_rounds=3,
    latency_seconds=30,
    mail_seconds=30,
    payouts=10_000,
    payees=1_000,
    memory_seconds=600,
)
QUICK = Plan(
    seconds=2,
    rounds=3,
    other_rounds=1,
    latency_seconds=4,
    mail_seconds=0,
    payouts=256,
    payees=128,
    memory_seconds=0,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter measurements: less than three minutes in all")
    parser.add_argument("--transfers-only", action="store_true", help="only single transfers and their references")
    parser.add_argument("--without-history", action="store_true", help="leave the ten million entries out")
    chosen = parser.parse_args()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=FILE_COLUMNS)
    logging.disable(logging.INFO)
    began = time.monotonic()

    def say(what: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.0f} s[/]  {what}")

    with running_bench(say) as bench:
        facts = asyncio.run(report.machine_facts(bench.superuser_url(), is_quick=chosen.quick))
        rounds = Rounds(bench, seconds=(QUICK if chosen.quick else WHOLE).seconds, say=say)
        extra = measure_all(rounds, QUICK if chosen.quick else WHOLE, transfers_only=chosen.transfers_only)
        say("Proving the books")
        proof = asyncio.run(proven(bench.stack))
    rows = goals.rows(rounds, extra)
    if not (chosen.quick or chosen.transfers_only or chosen.without_history):
        rows += [growth.row for growth in grown_history(console) if growth.work in HISTORY]
    console.print(report.cpu_table(rounds))
    console.print(report.goals_table(rows))
    for note in rounds.notes:
        console.print(f"Note: {note}")
    if not chosen.transfers_only:
        report.write_results(report.results(rounds, extra, rows, facts))
    say("The books are right." if proof.ok else f"The books are wrong: {proof.failed}")
    return 0 if proof.ok else 1


def measure_all(rounds: Rounds, plan: Plan, *, transfers_only: bool) -> phases.Extra:
    """Every phase in turn."""
    bench, extra = rounds.bench, phases.Extra()
    phases.prepare_references(rounds)
    with ExitStack() as running:
        if not plan.memory_seconds:
            extra.memory = running.enter_context(memory_sampled(bench.stack, phases.SERVICES))
        settings = {DATABASE_URL: bench.stack.database_url(database=REFERENCE)}
        hello = running.enter_context(serving(bench, HELLO, bench.port(HELLO_PORT_OFFSET)))
        thin = running.enter_context(serving(bench, THIN, bench.port(THIN_PORT_OFFSET), settings))
        with phases.mail_counted(rounds, extra):
            for turn in range(plan.rounds):
                rounds.say(f"Transfers and their references, round {turn + 1} of {plan.rounds}")
                phases.single_transfers(rounds, thin=thin, hello=hello)
        rounds.say("Round trips to Postgres")
        phases.round_trips(rounds, extra)
        if transfers_only:
            return extra
        for turn in range(plan.other_rounds):
            rounds.say(f"Bulk, reads and webhooks, round {turn + 1} of {plan.other_rounds}")
            phases.reads(rounds)
            phases.bulk(rounds)
            phases.webhooks(rounds, turn)
        rounds.say("Latency")
        phases.latency(rounds, extra, seconds=plan.latency_seconds)
        if plan.mail_seconds:
            rounds.say("Mail")
            phases.mail(rounds, extra, seconds=plan.mail_seconds)
        rounds.say("Withdrawals")
        phases.withdrawals(rounds, extra, payouts=plan.payouts, people=plan.payees)
        if plan.memory_seconds:
            rounds.say(f"Memory, {plan.memory_seconds:.0f} s of load")
            phases.memory(rounds, extra, seconds=plan.memory_seconds)
    return extra


def grown_history(console: Console) -> list[history.Growth]:
    """What reading costs after ten million entries, beside a hundred thousand, in a Postgres of its own."""
    with tempfile.TemporaryDirectory(prefix="batua-bench-") as home:
        stack = started_stack(Path(home))
        try:
            return history.measure(stack, console, is_quick=False)
        finally:
            stack.stop()


if __name__ == "__main__":
    sys.exit(main())
