"""What the supervisor starts for each process: write the pid file, set the environment, execute the program.

The program replaces this process (execve), so the pid in the file is the program's own, at every restart.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from infra.local import postgres, redis
from infra.local.environment import process_environment
from infra.local.layout import CHECKOUT, Layout
from infra.local.privileges import give_up_privileges
from infra.local.secrets import read_secrets

SHORT_LIFE_SECONDS = 1.0
PAUSE_SECONDS = 0.5

NICENESS = {"smtp": 10, "withdraw_worker": 10, "dummy_bank": 10}
"""Mail may wait while every core is busy with requests, and a bank is a machine of its own elsewhere. A niced process
still gets what the others leave."""

GIVE_WAY = "BATUA_GIVE_WAY"

AUTOGROUP = Path("/proc/self/autogroup")
"""The niceness of this process's session, where Linux shares the CPU between sessions."""
AUTOGROUP_TRIES, AUTOGROUP_PAUSE_SECONDS = 5, 0.15
"""Linux lets one process of the machine in 0.1 s set it, unless it is root's. Elsewhere there may be no such file."""

_CELERY = ["-m", "celery", "-A", "services.withdraw_worker.app:celery_app"]
_WORKER = ["--pool", "threads", "--concurrency", "8", "--without-gossip", "--without-mingle"]
_BANK = ["-m", "uvicorn", "services.dummy_bank.main:create_app", "--factory"]
_BANK_BOUNDS = ["--timeout-graceful-shutdown", "10", "--limit-concurrency", "2000"]
_BANK_ENGINE = ["--loop", "uvloop", "--http", "shared.http.server:BoundedProtocol", "--ws", "none"]
_BANK_OPTIONS = ["--no-server-header", "--no-access-log", "--no-proxy-headers", *_BANK_ENGINE, *_BANK_BOUNDS]


def command(process: str, layout: Layout) -> list[str]:
    """The command line of one process."""
    port = str(layout.port(process))
    match process:
        case "postgres":
            return postgres.server_command(layout)
        case "redis":
            return redis.server_command(layout)
        case "smtp":
            arguments = ["-m", "infra.local.smtp", "--port", port, "--directory", str(layout.mail)]
        case "withdraw_worker":
            arguments = [*_CELERY, "worker", *_WORKER, "--without-heartbeat", "--loglevel", "INFO"]
        case "scheduler":
            schedule = str(layout.run / "beat-schedule")
            arguments = [*_CELERY, "beat", "--schedule", schedule, "--pidfile=", "--loglevel", "INFO"]
        case "dummy_bank":
            arguments = [*_BANK, "--host", "127.0.0.1", "--port", port, *_BANK_OPTIONS]
        case _:
            arguments = ["-m", f"services.{process}", "--host", "127.0.0.1", "--port", port]
            arguments += ["--metrics-directory", str(layout.metrics(process))]
    return [sys.executable, *arguments]


def note_pid(layout: Layout, process: str) -> None:
    """Write our own pid to this process's pid file, in one step: a reader never sees half of it."""
    file = layout.pid_file(process)
    partial = file.with_suffix(".partial")
    partial.write_text(f"{os.getpid()}\n", encoding="ascii")
    partial.replace(file)


def pause_after_short_life(layout: Layout, process: str) -> None:
    """Pause if the last start was less than a second ago: a process that cannot start must not use up the CPU."""
    try:
        age_seconds = time.time() - layout.pid_file(process).stat().st_mtime
    except FileNotFoundError:
        return
    # PostgreSQL is not delayed: its first restart may fail while old sessions end, and the second then succeeds.
    if 0 <= age_seconds < SHORT_LIFE_SECONDS and process != "postgres":
        time.sleep(PAUSE_SECONDS)


def niceness_of(process: str, environment: Mapping[str, str]) -> int:
    """How far this process steps back: nowhere, where all of them are as urgent."""
    return 0 if environment.get(GIVE_WAY) == "0" else NICENESS.get(process, 0)


def step_back(niceness: int) -> None:
    """Let the other processes go first on a busy core.

    Where Linux shares the CPU between sessions, a niceness counts within one only, and the session has its own
    (sched(7), "The autogroup feature").
    """
    os.nice(niceness)
    if not niceness:
        return
    for _ in range(AUTOGROUP_TRIES):
        try:
            AUTOGROUP.write_text(f"{niceness}")
        except BlockingIOError:
            time.sleep(AUTOGROUP_PAUSE_SECONDS)
        except OSError:
            return
        else:
            return


def main(process: str) -> None:
    """Prepare and execute the process's program; returns only by raising."""
    layout = Layout.from_environment()
    pause_after_short_life(layout, process)
    secrets = read_secrets(layout.secrets_file)
    environment = process_environment(process, layout=layout, secrets=secrets, outer=os.environ)
    way = postgres.prepare_start(layout) if process == "postgres" else "unchanged"
    note_pid(layout, process)
    os.chdir(CHECKOUT)
    give_up_privileges(way)
    step_back(niceness_of(process, os.environ))
    arguments = command(process, layout)
    os.execve(arguments[0], arguments, environment)  # noqa: S606 - our own command line, no shell


if __name__ == "__main__":
    main(sys.argv[1])
