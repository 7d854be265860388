"""The supervisor: its configuration, its start, and how to talk to it.

A process that ends is started again at once, without a limit on the number of restarts.
"""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Mapping
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.layout import CHECKOUT, PROCESSES, Layout, Process, Tier

TIERS: tuple[Tier, ...] = ("postgres", "redis", "services")
LOG_BOUND_BYTES = 5 * 1024 * 1024
LOG_BACKUPS = 2
_STOP_SECONDS: Mapping[Tier, int] = {"postgres": 30, "redis": 10, "services": 40}
"""A service has 20 s at most for its last requests and 15 s to close."""
_LONGEST_SOCKET_PATH = 96
_CALL_TIMEOUT_SECONDS = 45.0


def _escape(text: str) -> str:
    """The supervisor expands % in its configuration."""
    return text.replace("%", "%%")


def _program(process: Process, layout: Layout) -> dict[str, str]:
    launch = [sys.executable, "-m", "infra.local.launch", process.name]
    return {
        "command": _escape(shlex.join(launch)),
        "directory": _escape(str(CHECKOUT)),
        "autostart": "false",
        "autorestart": "true",
        # A started process counts as running at once, so the supervisor never reaches its limit of failed starts.
        "startsecs": "0",
        # SIGINT is PostgreSQL's fast shutdown: it ends sessions instead of waiting for them.
        "stopsignal": "INT" if process.name == "postgres" else "TERM",
        "stopwaitsecs": str(_STOP_SECONDS[process.tier]),
        "stopasgroup": "false",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": _escape(str(layout.log_file(process.name))),
        "stdout_logfile_maxbytes": str(LOG_BOUND_BYTES),
        "stdout_logfile_backups": str(LOG_BACKUPS),
    }


def _socket_path(layout: Layout) -> Path:
    beside = layout.run / "supervisor.sock"
    if len(os.fsencode(beside)) <= _LONGEST_SOCKET_PATH:
        return beside
    # The kernel limits the length of a Unix socket's path; a directory of our own in /tmp is private as well.
    return Path(tempfile.mkdtemp(prefix="batua-")) / "supervisor.sock"


def write_configuration(layout: Layout) -> None:
    """Write `supervisord.conf`: every process, started only on request, stopped tier by tier."""
    socket_path = _escape(str(_socket_path(layout)))
    sections: dict[str, dict[str, str]] = {
        "unix_http_server": {"file": socket_path, "chmod": "0700"},
        "supervisord": {
            "nodaemon": "true",
            "silent": "true",
            "logfile": _escape(str(layout.log_file("supervisord"))),
            "logfile_maxbytes": str(LOG_BOUND_BYTES),
            "logfile_backups": "1",
            "pidfile": _escape(str(layout.supervisor_pid_file)),
            "childlogdir": _escape(str(layout.logs)),
            "minfds": "256",
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    for priority, tier in enumerate(TIERS):
        members = [process for process in PROCESSES.values() if process.tier == tier]
        names = ",".join(process.name for process in members)
        sections[f"group:{tier}"] = {"programs": names, "priority": str(priority)}
        sections |= {f"program:{process.name}": _program(process, layout) for process in members}
    parser = RawConfigParser()
    parser.read_dict(sections)
    with layout.supervisor_configuration.open("w", encoding="utf-8") as stream:
        parser.write(stream)


def socket_file(layout: Layout) -> Path:
    """The path of the supervisor's socket, from its configuration."""
    parser = RawConfigParser()
    parser.read(layout.supervisor_configuration, encoding="utf-8")
    return Path(parser.get("unix_http_server", "file").replace("%%", "%"))


def remove_socket(layout: Layout) -> None:
    """Remove the socket, and the directory that was made for it if there is one."""
    if not layout.supervisor_configuration.exists():
        return
    file = socket_file(layout)
    file.unlink(missing_ok=True)
    if file.parent != layout.run:
        shutil.rmtree(file.parent, ignore_errors=True)


def start(layout: Layout, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the supervisor. It stops every process if this one dies.

    It runs in a session of its own, so that a Ctrl-C at the terminal reaches only this process, which then stops the
    supervisor in order.
    """
    write_configuration(layout)
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [
            sys.executable,
            "-m",
            "infra.local.supervisor_process",
            str(layout.supervisor_configuration),
            str(os.getpid()),
        ],
        cwd=CHECKOUT,
        env=dict(environment),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_CALL_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_CALL_TIMEOUT_SECONDS)
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        self.sock = connection


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        # `close` closes this connection.
        self._connection = host, connection
        return connection


@dataclass(frozen=True)
class ProcessState:
    """The state of one process; times are seconds since the epoch."""

    name: str
    state: str
    pid: int
    started_at: int
    now: int


class Supervisor:
    """A running supervisor. Every call raises OSError where none runs."""

    def __init__(self, layout: Layout) -> None:
        self._path = socket_file(layout) if layout.supervisor_configuration.exists() else Path("nowhere")

    def _call(self, method: str, *arguments: object) -> Any:
        with xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(self._path)) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def states(self) -> dict[str, ProcessState]:
        """Every process by its name, whether it runs or not."""
        return {
            item["name"]: ProcessState(item["name"], item["statename"], item["pid"], item["start"], item["now"])
            for item in self._call("getAllProcessInfo")
        }

    def start(self, process: str) -> None:
        """Start a process; does not wait until it is ready."""
        self._call("startProcess", f"{PROCESSES[process].tier}:{process}", False)

    def stop(self, process: str) -> None:
        """Stop a process for good; returns when it has ended."""
        self._call("stopProcess", f"{PROCESSES[process].tier}:{process}", True)

    def is_listening(self) -> bool:
        """Whether it accepts calls."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException):
            return False
