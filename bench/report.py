"""Say what was found: one table of goals, one of CPU by process, and `bench/results.json` with the machine's facts."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from rich.table import Table

from bench import load
from bench.figures import Row
from bench.phases import Extra
from bench.rounds import LOAD_GENERATOR, Rounds
from infra.local.layout import CHECKOUT
from shared import clock

RESULTS = CHECKOUT / "bench" / "results.json"
_COLUMNS = ("user_app", "bank_webhook", "postgres", "redis", "withdraw_worker", "smtp", LOAD_GENERATOR)


def goals_table(rows: Sequence[Row]) -> Table:
    """Figure, reference, ratio and goal of each row."""
    table = Table(title="Medians of this run", title_justify="left")
    table.add_column("work")
    for name in ("figure", "reference", "ratio", "by CPU", "goal"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.reference is not None else ""
        met = "[green]met[/]" if row.is_met else "[red]not met[/]"
        by_cpu = "" if row.by_cpu is None else f"{row.by_cpu:.2f}"
        table.add_row(row.work, str(row.figure), str(row.reference or ""), ratio, by_cpu, str(row.goal), met)
    return table


def cpu_table(rounds: Rounds) -> Table:
    """CPU milliseconds per answer (per transfer in a bulk request) by process, and how long an answer takes."""
    table = Table(title="CPU milliseconds per piece of work, by process", title_justify="left")
    table.add_column("work")
    for name in ("reference", *_COLUMNS, "all", "p50 ms", "p99 ms"):
        table.add_column(name.replace("withdraw_", ""), justify="right")
    for work, found in rounds.found.items():
        used = [*[found.cpu_ms(name) for name in ("reference", *_COLUMNS)], found.whole_cpu_ms]
        took = [found.milliseconds(name) for name in ("p50_ms", "p99_ms")]
        table.add_row(work, *[f"{ms:.3f}" if ms else "" for ms in used], *[f"{ms:.1f}" if ms else "" for ms in took])
    return table


def results(rounds: Rounds, extra: Extra, rows: Sequence[Row], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything that was found, as JSON can hold it."""
    trips = max(1, extra.counted_transfers)
    return {
        **facts,
        "rows": [
            {**asdict(row), "goal": str(row.goal), "ratio": round(row.ratio, 4), "is_met": row.is_met} for row in rows
        ],
        "works": {
            work: {
                "per_second": [round(each.per_second * found.pieces, 1) for each in found.loads],
                "p50_ms": round(found.milliseconds("p50_ms"), 2),
                "p99_ms": round(found.milliseconds("p99_ms"), 2),
                "cpu_ms": {name: round(found.cpu_ms(name), 4) for name in found.used[0].seconds},
            }
            for work, found in rounds.found.items()
        },
        "statements_per_transfer": {
            query: {"calls": round(calls / trips, 4), "ms": round(extra.statements.ms[query] / trips, 4)}
            for query, calls in list(extra.statements.calls.items())[:20]
        },
        "withdrawals": None if extra.payouts is None else asdict(extra.payouts),
        "memory_mib": {name: round(value, 1) for name, value in extra.memory.largest().items()},
        "memory_growth_mib_per_minute": {name: round(value, 2) for name, value in extra.memory.slopes().items()},
        "notes": rounds.notes,
    }


async def machine_facts(superuser_url: str, *, is_quick: bool) -> dict[str, Any]:
    """What the figures depend on. No name of the machine or of its user."""
    connection = await asyncpg.connect(superuser_url)
    version = await connection.fetchval("SHOW server_version")
    await connection.close()
    return {
        "measured_at": f"{clock.now():%Y-%m-%d %H:%M} UTC",
        "commit": _commit(),
        "quick": is_quick,
        "machine": {
            "cores": os.cpu_count(),
            "model": _model(),
            "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
            "kernel": f"{platform.system()} {platform.release()}",
            "load_average_before": round(os.getloadavg()[0], 2),
        },
        "python": platform.python_version(),
        "postgres": version,
        "load_generator": load.generator(),
        "synchronous_commit": "on",
    }


def write_results(found: dict[str, Any], file: Path = RESULTS) -> None:
    """Replace the file."""
    file.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=10, check=False)
    return result.stdout.strip() or "unknown"


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
