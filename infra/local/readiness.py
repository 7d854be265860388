"""When a process of the local stack is ready: it runs and answers."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import psutil

from infra.local import postgres, redis
from infra.local.errors import StackError
from infra.local.layout import PROCESSES, Layout
from infra.local.leftovers import find, find_serving

POLL_SECONDS = 0.05
_ANSWER_SECONDS = 2.0
_LOG_LINES_SHOWN = 15


@dataclass(eq=False)
class NotReady(StackError):
    """A process was not ready in time; `log` is the end of its log."""

    process: str
    seconds: float
    log: str

    def __str__(self) -> str:
        return f"{self.process} was not ready after {self.seconds:.0f} s; its log ends:\n{self.log}"


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for the condition; False if it does not hold after this many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def log_end(layout: Layout, process: str) -> str:
    """The last lines of the process's log."""
    try:
        text = layout.log_file(process).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-_LOG_LINES_SHOWN:])


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 - our own address
            return bool(answer.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False


def accepts(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS):
            return True
    except OSError:
        return False


def _all_listen(layout: Layout, process: str) -> bool:
    """Whether each process that shares the port accepts connections: one that does not yet gets none to keep."""
    port, serving = layout.port(process), find_serving(layout, process)
    return bool(serving) and all(_listens(each, port) for each in serving)


def _listens(process: psutil.Process, port: int | None) -> bool:
    try:
        connections = process.net_connections("tcp")
    except psutil.Error:
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr[1] == port for each in connections)


def listens(layout: Layout, process: str) -> bool:
    """Whether it is our process that listens on its port, and not another program's."""
    found = find(layout, process)
    return found is not None and _listens(found, layout.port(process))


def is_ready(layout: Layout, process: str) -> bool:
    """Whether the process runs and answers; one without a port only has to run."""
    port, has_health = layout.port(process), PROCESSES[process].has_health
    # This is asked again and again while a service starts. To connect costs least; to find processes takes a look at
    # all of the machine.
    if (has_health and port is not None and not accepts(port)) or find(layout, process) is None:
        return False
    if process == "postgres":
        return postgres.accepts_connections(layout)
    if process == "redis":
        return redis.answers(layout)
    if PROCESSES[process].shares_port and not _all_listen(layout, process):
        return False
    if has_health:
        return _is_healthy(f"{layout.url(process)}/healthz")
    return port is None or accepts(port)


def wait_until_ready(layout: Layout, process: str, seconds: float) -> None:
    """Raises NotReady if the process is not ready within this time."""
    if not wait_until(lambda: is_ready(layout, process), seconds):
        raise NotReady(process, seconds, log_end(layout, process))
