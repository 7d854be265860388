"""`python -m chaos --seed 7 --minutes 10`: one line of verdict.

Exit 0: the promise was kept. 1: it was not, or the run was too short to tell (INCONCLUSIVE).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import get_args

from chaos.journal import Kind
from chaos.judgement import Wrong
from chaos.own_stack import running, usual_slowness
from chaos.run import Outcome, Run
from infra.local.errors import StackError
from infra.local.layout import CHECKOUT

FOLDER = CHECKOUT / "var" / "chaos"
SHOWN_FINDINGS = 20


def main() -> int:
    """Run, write what is needed to understand a failure, and print the verdict as the last line."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=random.randrange(2**31), help="the seed to replay; random if not given"
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="how long things break")
    parser.add_argument("--keep", action="store_true", help="keep logs and books after a good run too")
    parser.add_argument("--pooler", action="store_true", help="let the services reach Postgres through PgBouncer")
    given = parser.parse_args()
    home = FOLDER / str(given.seed)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    began = time.monotonic()
    with (home / "chaos.log").open("w", encoding="utf-8") as log:

        def say(line: str) -> None:
            print(f"{time.monotonic() - began:7.1f}  {line}", file=log, flush=True)

        print(f"chaos: seed {given.seed}, {given.minutes:g} minutes; what happens is in {log.name}", flush=True)
        try:
            with running(home, usual_slowness(), say, with_pooler=given.pooler) as own:
                outcome = asyncio.run(Run(own, given.seed, say).run(given.minutes))
        except StackError as error:
            print(error, file=sys.stderr)
            return 1
    _report(outcome, home)
    verdict = _verdict(outcome)
    if verdict == "OK" and not given.keep:
        shutil.rmtree(home, ignore_errors=True)
    print(f"chaos: seed={given.seed} minutes={given.minutes:g} {_counts(outcome)} {verdict}")
    return 0 if verdict == "OK" else 1


def _verdict(outcome: Outcome) -> str:
    if outcome.findings:
        return "FAILED"
    return "OK" if outcome.payouts_in_doubt else "INCONCLUSIVE"


def _report(outcome: Outcome, home: Path) -> None:
    if not outcome.findings:
        return
    outcome.journal.write(home / "journal.jsonl")
    lines = [f"{finding.wrong}: {finding.what}" for finding in outcome.findings]
    (home / "findings.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines[:SHOWN_FINDINGS]))
    print(f"{len(lines)} findings in {home}: findings.txt, journal.jsonl, chaos.log, log/, and the books")


def _counts(outcome: Outcome) -> str:
    journal = outcome.journal
    done = {kind: len(journal.told_yes(kind)) for kind in get_args(Kind)}
    statuses = Counter(each["status"] for holding in outcome.truth.holdings for each in holding.withdrawals)
    wrong = Counter(finding.wrong for finding in outcome.findings)
    counts = {
        "requests": len(journal.requests),
        "attempts": journal.attempts,
        "unanswered": sum(request.silences for request in journal.requests),
        "sign_ups": len(outcome.truth.holdings),
        "on_ramps": done["on_ramp"],
        "transfers": done["send"] + done["send_many"],
        "refunds": done["refund"],
        "withdrawals": done["withdraw"],
        "paid_out": statuses["succeeded"] + statuses["reversed"],
        "in_doubt": outcome.payouts_in_doubt,
        "cancelled": statuses["cancelled"],
        "bank_lines": len(outcome.truth.bank_lines),
        "faults": outcome.faults.total(),
        "ended_after": f"{outcome.ended_seconds:.0f}s",
        **{kind: wrong[kind] for kind in get_args(Wrong)},
    }
    return " ".join(f"{name}={value}" for name, value in counts.items())


if __name__ == "__main__":
    sys.exit(main())
