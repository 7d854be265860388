"""The reference for transfers: pgbench of the same Postgres doing the same double entry, statement by statement."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.population import ACCOUNT_PREFIX, HOT_SHOP, OWNER_PREFIX
from infra.local import postgres

CLIENTS = 16
LONGEST_START_SECONDS = 60
MOST_SECONDS = 60
_NOTHING = "number of transactions actually processed: 0\n"
_TEMPLATE = Path(__file__).parent / "references" / "transfer.pgbench.sql"


@dataclass(frozen=True, slots=True)
class PgbenchRun:
    """Transactions that committed, in all and per second."""

    transactions: int
    per_second: float


Protocol = Literal["prepared", "simple"]
"""How statements are sent: prepared once per connection, or as text that the server parses and plans each time, which
is what pgbench does unless told otherwise."""


def script(*, people: int, to_shop: bool, protocol: Protocol = "prepared") -> str:
    """The transfer: between two accounts chosen at random, or from one of them to the one shop."""
    another = f"(:payer + :other - 1) % {people} + 1"
    return _TEMPLATE.read_text(encoding="utf-8").format(
        people=people,
        to=HOT_SHOP if to_shop else another,
        kind="payment" if to_shop else "p2p",
        transfer_id="':transfer_id'" if protocol == "simple" else ":transfer_id",
        account_prefix=ACCOUNT_PREFIX,
        owner_prefix=OWNER_PREFIX,
    )


def run(
    url: str, *, people: int, to_shop: bool, seconds: float, folder: Path, protocol: Protocol = "prepared"
) -> PgbenchRun:
    """CLIENTS connections, each sending its next transfer when one is committed.

    pgbench counts the time in which they connect: where all of it has gone by then, it has twice as much.
    """
    file = folder / "transfer.pgbench.sql"
    file.write_text(script(people=people, to_shop=to_shop, protocol=protocol), encoding="utf-8")
    whole_seconds = max(1, round(seconds))
    while _NOTHING in (output := _output(url, file, whole_seconds, protocol)) and whole_seconds < MOST_SECONDS:
        whole_seconds *= 2
    return read(output)


def _output(url: str, file: Path, seconds: int, protocol: Protocol) -> str:
    command = [str(postgres.program("pgbench")), "--no-vacuum", "--protocol", protocol, "--file", str(file)]
    command += ["--client", str(CLIENTS), "--jobs", "2", "--time", str(seconds), url]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + LONGEST_START_SECONDS, check=False, env=environment
    )
    if result.returncode != 0:
        raise SystemExit(f"pgbench failed: {result.stderr[-1000:]}")
    return result.stdout


def read(output: str) -> PgbenchRun:
    """The figures that pgbench printed. Raises ValueError if a transaction failed."""
    failed = re.search(r"number of failed transactions: (\d+)", output)
    if failed is None or failed[1] != "0":
        raise ValueError(f"pgbench's transactions failed: {output}")
    per_second = re.search(r"^tps = ([0-9.]+)", output, re.MULTILINE)
    transactions = re.search(r"^number of transactions actually processed: (\d+)", output, re.MULTILINE)
    if per_second is None or transactions is None:
        raise ValueError(f"pgbench printed no figures: {output}")
    return PgbenchRun(int(transactions[1]), float(per_second[1]))
