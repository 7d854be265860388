"""Run the tests at other dates: `python -m tests.support.dates [options] [-- arguments of pytest]`.

A library preloaded into every process (`shifted_clock.c`) moves the wall clock of pytest and of all it starts,
Postgres and Redis included. Needs Linux and a C compiler. `docs/testing.md` says what the options are for.
"""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

CLOCK = "SHIFTED_CLOCK"
"""The environment variable that names the file with the nanoseconds by which the clock is moved."""
LEAD = timedelta(seconds=90)
"""A run starts so long before its moment, which then comes while tests run."""
SOURCE = Path(__file__).with_name("shifted_clock.c")
MOMENTS = {
    "new-year-india": datetime(2026, 12, 31, 18, 30, tzinfo=UTC),
    "new-year-utc": datetime(2027, 1, 1, tzinfo=UTC),
    "month-end-utc": datetime(2027, 2, 1, tzinfo=UTC),
    "month-end-india": datetime(2027, 4, 30, 18, 30, tzinfo=UTC),
    "leap-day-utc": datetime(2028, 2, 29, tzinfo=UTC),
    "first-of-march-india": datetime(2028, 2, 29, 18, 30, tzinfo=UTC),
    "first-of-march-utc": datetime(2028, 3, 1, tzinfo=UTC),
    "summer-time-begins-us": datetime(2027, 3, 14, 7, tzinfo=UTC),
    "summer-time-begins-eu": datetime(2027, 3, 28, 1, tzinfo=UTC),
    "summer-time-ends-eu": datetime(2027, 10, 31, 1, tzinfo=UTC),
    "summer-time-ends-us": datetime(2027, 11, 7, 6, tzinfo=UTC),
}
"""Moments at which a day, a month, a year or an offset changes."""


def move_clock(to: datetime) -> None:
    """Set the clock of every process that shares this process's clock file."""
    with Path(os.environ[CLOCK]).open("r+b") as file:  # not truncated: processes have it mapped
        (shift,) = struct.unpack("q", file.read())
        file.seek(0)
        file.write(struct.pack("q", shift + _until(to)))


def _until(moment: datetime) -> int:
    return round(moment.timestamp() * 1e9) - time.time_ns()


@contextmanager
def shifted_clock(start: datetime) -> Iterator[dict[str, str]]:
    """The environment in which new processes see `start` as the present moment."""
    with tempfile.TemporaryDirectory(prefix="batua-clock-") as made:
        directory = Path(made)
        directory.chmod(0o755)  # Postgres may run as another user
        library, file = directory / "shifted_clock.so", directory / "shift"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
        file.write_bytes(struct.pack("q", _until(start)))
        yield os.environ | {"LD_PRELOAD": str(library), CLOCK: str(file), "PYTEST_DEBUG_TEMPROOT": made}


def run(start: datetime, arguments: list[str]) -> int:
    """Run pytest with `start` as the present moment; returns its exit status."""
    with shifted_clock(start) as environment:
        command = [sys.executable, "-m", "pytest", *arguments]
        return subprocess.run(command, env=environment, check=False).returncode


def main() -> None:
    """Run the tests once for each moment that was asked for, and exit with 1 if any run failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.dates", description="Run the tests at other dates.")
    parser.add_argument("--at", action="append", choices=sorted(MOMENTS), help="only this moment; may be repeated")
    parser.add_argument("--every-test", action="store_true", help="one run; a month ends during each test")
    parser.add_argument("arguments", nargs="*", default=["tests"], help="of pytest; tests if none are given")
    chosen = parser.parse_args()
    if chosen.every_test:
        sys.exit(run(datetime.now(UTC), ["-p", "tests.support.month_ends", "-n", "0", *chosen.arguments]))
    arguments = ["-n", "auto", "--dist", "loadgroup", *chosen.arguments]
    failed = []
    for name in chosen.at or MOMENTS:
        print(f"\n{name}: {MOMENTS[name]} comes {LEAD.seconds} s after the start", flush=True)
        if run(MOMENTS[name] - LEAD, arguments) != 0:
            failed.append(name)
    sys.exit(f"failed at {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
