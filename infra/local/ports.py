"""Whether the stack's ports are free, and which program uses them if not."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.local.errors import AnotherIsStarting, StackError
from infra.local.layout import Layout


@dataclass(eq=False)
class PortInUse(StackError):
    """Another program listens on a port that one of our processes needs."""

    port: int
    process: str
    holder: str | None

    def __str__(self) -> str:
        who = f"by {self.holder}" if self.holder else "by another program"
        return (
            f"port {self.port}, which {self.process} needs, is already in use {who}: "
            "stop it, or set BATUA_PORT_BASE to another number"
        )


def holder_of(port: int) -> str | None:
    """Name and pid of the program that listens on this port; None if the system does not tell."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return None
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
        if listens and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return None


def is_free(port: int) -> bool:
    """Whether a process could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set this too: a closed connection in TIME_WAIT does not make the port busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def require_free_ports(layout: Layout, processes: Iterable[str]) -> None:
    """Raises PortInUse for the first of these processes whose port is taken."""
    for process in processes:
        port = layout.port(process)
        if port is not None and not is_free(port):
            raise PortInUse(port=port, process=process, holder=holder_of(port))


@contextmanager
def alone_on(port_base: int) -> Iterator[None]:
    """Keep other stacks of this user from starting on this port base meanwhile. Raises AnotherIsStarting.

    A port is taken only once its process listens. Until then, a second start would find it free as well.
    """
    file = Path(tempfile.gettempdir()) / f"batua-{os.getuid()}-ports-{port_base}.lock"
    with file.open("a", encoding="ascii") as claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherIsStarting(port_base) from None
        yield
