"""Tell whether the process of this container works: `python -m infra.healthcheck <address or file>`.

An address is a service's `/healthz`. A file is the heartbeat of a process without a port (`BATUA_HEARTBEAT_FILE`),
which its own loop touches. Exits 0, or 1 with one line that says why. Standard library only: it runs every few seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

WITHIN_SECONDS = 60.0
"""The worker touches its file every 5 seconds, the scheduler each second; so many mean a loop that is stuck or gone."""
TIMEOUT_SECONDS = 2.0


def problem_at(address: str, timeout_seconds: float = TIMEOUT_SECONDS) -> str | None:
    """Why the service at this address is not well, None if it is."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=timeout_seconds):
            return None
    except urllib.error.HTTPError as error:
        return f"{address} answered {error.code}"
    except (OSError, HTTPException) as error:
        return f"{address} does not answer: {error}"


def problem_of(file: Path, within_seconds: float = WITHIN_SECONDS) -> str | None:
    """Why the process that touches this file is not well, None if it is."""
    try:
        age_seconds = time.time() - file.stat().st_mtime
    except OSError as error:
        return f"there is no heartbeat: {error}"
    return f"the last heartbeat was {age_seconds:.0f} s ago" if age_seconds > within_seconds else None


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.healthcheck", description=__doc__)
    parser.add_argument("what", help="http://127.0.0.1:8000/healthz, or the heartbeat's file")
    parser.add_argument("--within", type=float, default=WITHIN_SECONDS, metavar="SECONDS", help="oldest heartbeat")
    given = parser.parse_args(arguments)
    is_address = given.what.startswith("http://")
    problem = problem_at(given.what) if is_address else problem_of(Path(given.what), given.within)
    if problem:
        sys.stderr.write(f"{problem}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
