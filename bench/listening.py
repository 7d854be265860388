"""How many processes a service has, and whether all of them accept connections."""

from __future__ import annotations

import sys
import time
from contextlib import suppress

import psutil

from bench.measure import with_descendants
from infra.local.stack import Stack
from shared.serving.cores import default_processes

START_SECONDS = 300.0


def processes_of(stack: Stack) -> int:
    """How many processes each HTTP service of the stack has."""
    return int(stack.environment().get("BATUA_PROCESSES") or 0) or default_processes()


def wait_until_all_listen(pid: int, count: int) -> None:
    """Wait until so many processes of this tree accept connections: the kernel spreads new ones over all of them."""
    until = time.monotonic() + START_SECONDS
    while _listening(pid) < count:
        if not psutil.pid_exists(pid) or time.monotonic() > until:
            sys.exit(f"of {count} processes at {pid}, {_listening(pid)} accept connections")
        time.sleep(0.05)


def _listening(pid: int) -> int:
    listening = 0
    with suppress(psutil.Error):
        for process in with_descendants(psutil.Process(pid)):
            listening += any(each.status == psutil.CONN_LISTEN for each in process.net_connections("tcp"))
    return listening
