"""`make drill-ha`: what callers notice when the database's nodes fail. Exit 0: the promise was kept; 1: it was not."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import asyncpg

from drills.high_availability import cluster as clusters
from drills.high_availability import faults, services
from drills.high_availability.judgement import NO_ANSWER, Fault, Verdict, judge
from drills.high_availability.traffic import Traffic
from infra.local.errors import StackError
from infra.local.layout import CHECKOUT

HOME = CHECKOUT / "var" / "drill-ha"
PAYOUT_SECONDS = 180.0
PROOF_SECONDS = 300.0
_BOOKED = "SELECT note, count(*) FROM transfers WHERE kind = 'p2p' AND note IS NOT NULL GROUP BY note"
_UNFINISHED = "SELECT count(*) FROM withdrawals WHERE status NOT IN ('succeeded', 'failed', 'cancelled', 'reversed')"
_PAID = "SELECT id::text FROM withdrawals WHERE status = 'succeeded'"


def main() -> int:
    """Run the drill and print the table and the verdict."""
    parser = argparse.ArgumentParser(prog="make drill-ha", description=__doc__)
    parser.add_argument("--only", help="a part of the name of the faults to make")
    given = parser.parse_args()
    plans = [plan for plan in faults.PLANS if given.only is None or given.only in plan.name]
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left running

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f}  {line}", flush=True)

    try:
        say(f"starting three nodes, and two of each service, in {HOME}")
        with clusters.running(HOME) as cluster, services.running(cluster, HOME / "services") as running:
            say("all is ready")
            verdict, proof = asyncio.run(_drill(cluster, running, plans, say))
    except StackError as error:
        print(error, file=sys.stderr)
        return 2
    _show(verdict, proof)
    return 1 if verdict.findings else 0


async def _drill(
    cluster: clusters.Cluster, running: services.Services, plans: list[faults.Plan], say: faults.Say
) -> tuple[Verdict, str]:
    traffic = Traffic(running.user_apps)
    async with traffic.flowing():
        made = [await faults.make(cluster, plan, say) for plan in plans]
        await asyncio.sleep(faults.CALM_SECONDS)
    say("every request is answered")
    booked, unpaid = await _books(running, traffic)
    _write_answers(traffic, made)
    verdict = judge(traffic.answers, made, booked)
    verdict.findings += unpaid
    statuses = Counter(traffic.withdrawal_statuses)
    if set(statuses) - {202, 409, 503, NO_ANSWER}:
        verdict.findings.append(f"withdrawals were answered {dict(statuses)}")
    proof = await asyncio.to_thread(_prove, running)
    if proof.returncode != 0:
        verdict.findings.append("the proof failed")
    return verdict, proof.stdout.strip()


async def _books(running: services.Services, traffic: Traffic) -> tuple[Mapping[str, int], list[str]]:
    """How often each key is booked, and what is wrong with the withdrawals once they have ended."""
    connection = await asyncpg.connect(running.database_url)
    try:
        ends_at = time.monotonic() + PAYOUT_SECONDS
        while await connection.fetchval(_UNFINISHED):
            if time.monotonic() > ends_at:
                return {}, ["withdrawals have not ended"]
            await asyncio.sleep(1)
        paid = Counter(row[0] for row in await connection.fetch(_PAID))
        lost = traffic.withdrawals - paid.keys()
        booked = {row[0]: row[1] for row in await connection.fetch(_BOOKED)}
        return booked, [f"withdrawal {each} was accepted and is not paid" for each in sorted(lost)]
    finally:
        await connection.close()


def _write_answers(traffic: Traffic, made: Sequence[Fault]) -> None:
    """Every answer, and when each fault began: to see where the seconds of an outage went."""
    lines = [f"{answer.at:.3f} {answer.status}\n" for answer in traffic.answers]
    lines += [f"{fault.began:.3f} {fault.name}\n" for fault in made]
    (HOME / "answers.txt").write_text("".join(sorted(lines)), encoding="utf-8")


def _prove(running: services.Services) -> subprocess.CompletedProcess[str]:
    """It also compares each payout with the bank's statement, line by line."""
    environment = os.environ | running.stack.environment()
    command = [sys.executable, "-m", "infra.cli.main", "prove"]
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=PROOF_SECONDS, check=False
    )


def _show(verdict: Verdict, proof: str) -> None:
    print(f"{'fault':<34}{'outage':>9}{'allowed':>9}   answers by status")
    for each in verdict.watched:
        limit = "" if each.fault.limit_seconds is None else f"{each.fault.limit_seconds:.0f} s"
        print(f"{each.fault.name:<34}{each.outage_seconds:>7.1f} s{limit:>9}   {_words(each.statuses)}")
    print(f"all: {verdict.keys} payments; answers {_words(verdict.statuses)}")
    print(proof.splitlines()[-1] if proof else "no proof")
    for finding in verdict.findings[:20]:
        print(f"  {finding}")
    print(f"drill-ha: {'FAILED' if verdict.findings else 'OK'}")


def _words(statuses: Mapping[int, int]) -> str:
    names = {NO_ANSWER: "none"}
    return ", ".join(f"{names.get(status, status)}: {count}" for status, count in sorted(statuses.items()))


if __name__ == "__main__":
    sys.exit(main())
