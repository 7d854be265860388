"""End the processes that an earlier stack in this home left running because it was killed.

A process is ended only if it is certainly this stack's: its environment names our home and its process name, and its
pid is in a pid file or it is one of several that share a port; or its pid is in a pid file and its command line names a
file in our home. No other process is touched.
"""

from __future__ import annotations

import signal
from contextlib import suppress

import psutil

from infra.local.layout import PROCESSES, Layout
from infra.local.supervision import TIERS, remove_socket

SUPERVISOR_STOP_SECONDS = 90
PROCESS_STOP_SECONDS = 15


def read_pid(layout: Layout, process: str) -> int | None:
    """The pid in the process's pid file; None without a usable file. The process may have ended."""
    try:
        return int(layout.pid_file(process).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None


def _lies_in_home(process: psutil.Process, layout: Layout) -> bool:
    return any(str(layout.home) + "/" in argument for argument in process.cmdline())


def _is_ours(process: psutil.Process, name: str, layout: Layout) -> bool:
    try:
        environment = process.environ()
    except psutil.AccessDenied:
        return _lies_in_home(process, layout)
    same_home = environment.get("BATUA_HOME") == str(layout.home)
    return (same_home and environment.get("BATUA_PROCESS") == name) or _lies_in_home(process, layout)


def find(layout: Layout, process: str) -> psutil.Process | None:
    """The live process behind a pid file, if it is certainly this stack's."""
    pid = read_pid(layout, process)
    if pid is None:
        return None
    try:
        found = psutil.Process(pid)
        alive = found.status() != psutil.STATUS_ZOMBIE
        return found if alive and _is_ours(found, process, layout) else None
    except psutil.NoSuchProcess:
        return None


def find_serving(layout: Layout, process: str) -> list[psutil.Process]:
    """The live processes that do the work: where several share a port, the children of the one that is supervised."""
    found = find(layout, process)
    if found is None:
        return []
    try:
        children = found.children() if PROCESSES[process].shares_port else []
    except psutil.NoSuchProcess:
        return []
    return children or [found]


def _orphans(layout: Layout) -> list[psutil.Process]:
    """Processes that shared a port in this home and whose supervisor was killed: they have no pid file."""
    names = {name for name, process in PROCESSES.items() if process.shares_port}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            is_ours = environment.get("BATUA_HOME") == str(layout.home) and environment.get("BATUA_PROCESS") in names
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _find_supervisor(layout: Layout) -> psutil.Process | None:
    pid = read_pid(layout, "supervisord")
    if pid is None:
        return None
    try:
        found = psutil.Process(pid)
        return found if str(layout.supervisor_configuration) in found.cmdline() else None
    except psutil.NoSuchProcess:
        return None


def _end(processes: list[psutil.Process], number: signal.Signals, seconds: float) -> None:
    """Signal the processes, wait for this many seconds, then kill those that still run."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    _gone, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=PROCESS_STOP_SECONDS)


def end_leftovers(layout: Layout) -> list[str]:
    """End what an earlier stack in this home left running; returns the names of the ended processes.

    Services end before Redis, and Redis before the database. Call it only while holding the
    home's lock.
    """
    ended = []
    supervisor = _find_supervisor(layout)
    if supervisor is not None:
        ended.append("supervisord")
        _end([supervisor], signal.SIGTERM, SUPERVISOR_STOP_SECONDS)
    for tier in reversed(TIERS):
        names = [name for name, process in PROCESSES.items() if process.tier == tier]
        found = {name: process for name in names if (process := find(layout, name)) is not None}
        ended += found
        _end(list(found.values()), signal.SIGINT if tier == "postgres" else signal.SIGTERM, PROCESS_STOP_SECONDS)
        if tier == "services":
            _end(_orphans(layout), signal.SIGTERM, PROCESS_STOP_SECONDS)
    for name in (*PROCESSES, "supervisord"):
        layout.pid_file(name).unlink(missing_ok=True)
    remove_socket(layout)
    return ended
