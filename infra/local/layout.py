"""The processes, ports and files of one embedded stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.local.errors import HomeNotUsable, StackError

CHECKOUT = Path(__file__).resolve().parents[2]
DEFAULT_PORT_BASE = 8000
LOWEST_PORT_BASE, HIGHEST_PORT_BASE = 1024, 65535 - 79

Tier = Literal["postgres", "redis", "services"]


@dataclass(frozen=True)
class Process:
    """One supervised process: its port is the base plus an offset, or it has none.

    Tiers start in the order postgres, redis, services and stop the other way round.
    """

    name: str
    tier: Tier
    port_offset: int | None = None
    has_health: bool = False
    shares_port: bool = False
    """Several processes may serve its port, as children of the one that is supervised."""


_ALL = (
    Process("postgres", "postgres", 32),
    Process("redis", "redis", 79),
    Process("smtp", "redis", 25),
    Process("user_app", "services", 1, has_health=True, shares_port=True),
    Process("merchant_app", "services", 2, has_health=True, shares_port=True),
    Process("bank_webhook", "services", 3, has_health=True, shares_port=True),
    Process("dummy_bank", "services", 4, has_health=True),
    Process("withdraw_worker", "services"),
    Process("scheduler", "services"),
)
PROCESSES: Mapping[str, Process] = {process.name: process for process in _ALL}
SERVICES = tuple(process.name for process in _ALL if process.tier == "services")


@dataclass(eq=False)
class BadPortBase(StackError):
    """`BATUA_PORT_BASE` is not a number that leaves room for every port."""

    value: str

    def __str__(self) -> str:
        return f"BATUA_PORT_BASE must be a number from {LOWEST_PORT_BASE} to {HIGHEST_PORT_BASE}, not {self.value!r}"


@dataclass(frozen=True)
class Layout:
    """Files below `home` and ports above `port_base`; two stacks that differ in both share nothing."""

    home: Path
    port_base: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Layout:
        """`BATUA_HOME` (default `var` in the checkout) and `BATUA_PORT_BASE` (default 8000).

        Raises BadPortBase.
        """
        values = os.environ if environment is None else environment
        home = Path(values.get("BATUA_HOME") or CHECKOUT / "var").expanduser()
        base = values.get("BATUA_PORT_BASE") or str(DEFAULT_PORT_BASE)
        if not base.isdecimal() or not LOWEST_PORT_BASE <= int(base) <= HIGHEST_PORT_BASE:
            raise BadPortBase(base)
        return cls(home=home.resolve(), port_base=int(base))

    @property
    def run(self) -> Path:
        """Pid files, the supervisor's configuration and its socket."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """One bounded, rotated log per process."""
        return self.home / "log"

    @property
    def mail(self) -> Path:
        """Where the local SMTP server stores mail, one `.eml` file per message."""
        return self.home / "mail"

    @property
    def postgres(self) -> Path:
        """The database server's directory; it belongs to the user that the server runs as."""
        return self.home / "postgres"

    @property
    def postgres_data(self) -> Path:
        """The data directory of PostgreSQL."""
        return self.postgres / "data"

    @property
    def secrets_file(self) -> Path:
        """`KEY=value` lines, readable by the owner only."""
        return self.home / "secrets.env"

    @property
    def supervisor_configuration(self) -> Path:
        """The supervisor's configuration, written at each start."""
        return self.run / "supervisord.conf"

    @property
    def supervisor_pid_file(self) -> Path:
        """The supervisor's own pid."""
        return self.run / "supervisord.pid"

    @property
    def lock_file(self) -> Path:
        """Locked while a stack runs in this home."""
        return self.run / "stack.lock"

    def metrics(self, process: str) -> Path:
        """Where the processes that serve one port count together; emptied at each start."""
        return self.run / "metrics" / process

    def pid_file(self, process: str) -> Path:
        """Holds the pid of this process, written at each start."""
        return self.run / f"{process}.pid"

    def heartbeat_file(self, process: str) -> Path:
        """Touched by this process, which has no port, while it works."""
        return self.run / f"{process}.heartbeat"

    def log_file(self, process: str) -> Path:
        """Standard output and standard error of this process."""
        return self.logs / f"{process}.log"

    def port(self, process: str) -> int | None:
        """The TCP port on 127.0.0.1, None for a process that listens on none."""
        offset = PROCESSES[process].port_offset
        return None if offset is None else self.port_base + offset

    def url(self, process: str) -> str:
        """Address of an HTTP service, without a trailing slash."""
        return f"http://127.0.0.1:{self.port(process)}"

    def browser_url(self, process: str) -> str:
        """The address for a browser. Cookies belong to a host, not to a port, so the two apps need two hosts."""
        host = "localhost" if process == "merchant_app" else "127.0.0.1"
        return f"http://{host}:{self.port(process)}"

    def make_directories(self) -> None:
        """Create the missing directories; only their owner may enter them. Raises HomeNotUsable."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            for directory in (self.run, self.logs, self.mail, self.postgres):
                directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            reason = "it is a file" if self.home.is_file() else error.strerror or str(error)
            raise HomeNotUsable(self.home, reason) from None
