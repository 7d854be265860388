"""A PgBouncer in front of a server on this machine, in transaction mode: what tests and drills put between.

It comes with the system (Debian: `apt install pgbouncer`), not with Batua. Clients outnumber its connections to the
server, which take turns, so that whatever a client leaves on one is soon missed, or met by another client.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra.local.privileges import Way, find_way, own_directory, wrapped
from infra.local.readiness import accepts, wait_until

CLIENTS = 1_000
START_SECONDS = 20.0
STOP_SECONDS = 10.0
QUEUE_SECONDS = 10.0
_FILE = "pgbouncer.ini"
_USERS = "users.txt"


def installed() -> Path | None:
    """The program, if the system has it."""
    found = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    return None if found is None else Path(found)


@contextmanager
def pooler(
    home: Path,
    *,
    port: int,
    server_port: int,
    passwords: Mapping[str, str],
    connections: int,
    queue_seconds: float = QUEUE_SECONDS,
) -> Iterator[subprocess.Popen[bytes]]:
    """A running pooler on `port` of the loopback, before the server on `server_port`; nothing of it is left at the end.

    `passwords` are those of the roles that may connect. Each of them has `connections` to each database, for one of
    which a statement waits up to `queue_seconds`. Raises FileNotFoundError where PgBouncer is not installed.
    """
    program = installed()
    if program is None:
        raise FileNotFoundError("pgbouncer is not installed (Debian: apt install pgbouncer)")
    home.mkdir(parents=True)
    (home / _USERS).write_text(
        "".join(f'"{role}" "{password}"\n' for role, password in passwords.items()), encoding="ascii"
    )
    (home / _FILE).write_text(_configuration(home, port, server_port, connections, queue_seconds), encoding="ascii")
    way: Way = find_way(directory=home, program=Path("/bin/true"))
    own_directory(way, home)
    with (home / "pgbouncer.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - a program of the system, arguments are ours
            wrapped(way, [str(program), str(home / _FILE)]), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: process.poll() is not None or accepts(port), START_SECONDS)
        if process.poll() is not None or not accepts(port):
            raise ChildProcessError((home / "pgbouncer.log").read_text(encoding="utf-8"))
        yield process
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
        shutil.rmtree(home, ignore_errors=True)


def _configuration(home: Path, port: int, server_port: int, connections: int, queue_seconds: float) -> str:
    values = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": home / _USERS,
        "pool_mode": "transaction",
        "max_client_conn": CLIENTS,
        "default_pool_size": connections,
        # A client gets another connection each time, not the one that it had.
        "server_round_robin": 1,
        "server_login_retry": 1,
        "query_wait_timeout": f"{queue_seconds:.0f}",
    }
    lines = "".join(f"{name} = {value}\n" for name, value in values.items())
    return f"[databases]\n* = host=127.0.0.1 port={server_port}\n\n[pgbouncer]\n{lines}"
