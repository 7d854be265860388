"""The embedded stack as an object: start it, kill parts of it, stop it.

    with Stack(home, port_base) as stack:
        stack.kill("withdraw_worker")
        stack.wait_until_back("withdraw_worker")

The stack ends with the thread that started it: if that thread or its process dies, the supervisor
stops every process in order.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TextIO

import asyncpg

from infra.local import postgres, slowness
from infra.local.environment import (
    OWNER,
    database_url,
    local_secrets,
    owns_postgres,
    owns_redis,
    process_environment,
)
from infra.local.errors import (
    AlreadyRunning,
    BadReadySeconds,
    HomeNotUsable,
    MigrationFailed,
    MigrationTooSlow,
    PasswordRefused,
)
from infra.local.layout import CHECKOUT, PROCESSES, SERVICES, Layout
from infra.local.leftovers import end_leftovers, find_serving, read_pid
from infra.local.ports import PortInUse, alone_on, holder_of, require_free_ports
from infra.local.readiness import NotReady, is_ready, listens, log_end, wait_until, wait_until_ready
from infra.local.secrets import postgres_password_name
from infra.local.supervision import ProcessState, Supervisor
from infra.local.supervision import start as start_supervisor
from infra.postgres.roles import SERVICE_ROLES, create_owner, grant_service_roles
from shared.config import DatabaseSettings
from shared.db.engine import limits

ALL: Collection[str] = tuple(PROCESSES)
READY_SECONDS = 60.0
"""For each process to answer on a machine with nothing else to do, unless `BATUA_READY_SECONDS` says otherwise."""
MIGRATION_SECONDS = 120.0
"""For the migrations, or twice as long as for a process where that is more."""
STOP_SECONDS = 90


class Stack:
    """Every process of Batua on this machine; one per home.

    Variables of the calling process that begin with `BATUA_` or `DUMMY_BANK_` are not passed on: give such settings as
    `extra_environment`.
    """

    def __init__(self, home: Path, port_base: int, extra_environment: Mapping[str, str] | None = None) -> None:
        ours = ("BATUA_", "DUMMY_BANK_")
        outer = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.layout = Layout(home.resolve(), port_base)
        self.outer_environment = outer | dict(extra_environment or {})
        self.outer_environment |= {"BATUA_HOME": str(self.layout.home), "BATUA_PORT_BASE": str(port_base)}
        self._given_ready_seconds = _ready_seconds(self.outer_environment)
        self._secrets: dict[str, str] = {}
        self._lock: TextIO | None = None
        self._supervisor_process: subprocess.Popen[bytes] | None = None
        self._killed_at: dict[str, float] = {}

    @classmethod
    def from_environment(cls, defaults: Mapping[str, str] | None = None) -> Stack:
        """The stack that the caller's own `BATUA_*` variables describe, over `defaults`.

        Raises BadPortBase and BadReadySeconds.
        """
        layout = Layout.from_environment()
        ours = {name: value for name, value in os.environ.items() if name.startswith(("BATUA_", "DUMMY_BANK_"))}
        return cls(layout.home, layout.port_base, {**(defaults or {}), **ours})

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, processes: Collection[str] = ALL, report: Callable[[str], None] = lambda _: None) -> None:
        """Start these processes in order and return when they answer; on failure nothing is left.

        `report` gets a line for each step. Raises StackError.
        """
        self.layout.make_directories()
        self._take_lock()
        try:
            with alone_on(self.layout.port_base):
                end_leftovers(self.layout)
                wanted = self._wanted(processes)
                require_free_ports(self.layout, wanted)
                report(f"Starting Batua in {self.layout.home}:")
                self._secrets = local_secrets(self.layout)
                if "postgres" in wanted and not self.layout.postgres_data.exists():
                    report("  creating the database, at the first start only")
                    postgres.create_database(self.layout, self._secrets)
                self._start_in_order(wanted, report)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything in order, services first and the database last; a second call does nothing."""
        if self._lock is None:
            return
        if self._supervisor_process is not None:
            self._supervisor_process.terminate()
            try:
                self._supervisor_process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._supervisor_process.kill()
                self._supervisor_process.wait()
            self._supervisor_process = None
        end_leftovers(self.layout)
        self._lock.close()
        self._lock = None

    def is_supervised(self) -> bool:
        """False when the supervisor has ended."""
        return self._supervisor_process is not None and self._supervisor_process.poll() is None

    def environment(self, process: str = "command") -> dict[str, str]:
        """The environment of a process, or of a command that talks to the stack as the owner."""
        return process_environment(process, layout=self.layout, secrets=self._secrets, outer=self.outer_environment)

    def database_url(self, role: str = OWNER, database: str = "batua") -> str:
        """The URL with which a role connects to a database of the stack's own server."""
        return database_url(self.layout, self._secrets, role, database)

    def url(self, process: str) -> str:
        """Address of an HTTP service, without a trailing slash."""
        return self.layout.url(process)

    def pid(self, process: str) -> int:
        """The process's pid, from its pid file. Raises NotReady if it never started."""
        pid = read_pid(self.layout, process)
        if pid is None:
            raise NotReady(process, 0, self.log_end(process))
        return pid

    def states(self) -> dict[str, ProcessState]:
        """The state of each process, from the supervisor."""
        return Supervisor(self.layout).states()

    def serving_pids(self, process: str) -> list[int]:
        """The pids of the processes that do the work: several, where they share a port; `pid` is their supervisor's."""
        return [each.pid for each in find_serving(self.layout, process)]

    def kill(self, process: str) -> int:
        """SIGKILL the process and those that share its port; returns the pid it had."""
        pid = self.pid(process)
        self._killed_at[process] = time.monotonic()
        for each in (pid, *(other for other in self.serving_pids(process) if other != pid)):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        return pid

    def kill_one(self, process: str) -> int:
        """SIGKILL one of the processes that share the port, so that the others go on; returns its pid."""
        pid = self.serving_pids(process)[0]
        self._killed_at[process] = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_until_back(self, process: str, *, after_pid: int | None = None, seconds: float = 30) -> float:
        """Wait until a process runs and answers again; returns the seconds since `kill`.

        With `after_pid`, the pid must have changed from it. Raises NotReady.
        """
        began = self._killed_at.get(process, time.monotonic())
        if not wait_until(lambda: self.pid(process) != after_pid and self.is_ready(process), seconds):
            raise NotReady(process, seconds, self.log_end(process))
        return time.monotonic() - began

    def stop_process(self, process: str) -> None:
        """Stop one process in an orderly way and keep it stopped."""
        Supervisor(self.layout).stop(process)

    def start_process(self, process: str) -> None:
        """Start one process and wait until it answers. Raises NotReady."""
        Supervisor(self.layout).start(process)
        self._wait_until_ready([process])

    def is_ready(self, process: str) -> bool:
        """Whether the process lives and does what it is for."""
        return is_ready(self.layout, process)

    def log_end(self, process: str) -> str:
        """The last lines of the process's log."""
        return log_end(self.layout, process)

    @cached_property
    def _ready_seconds(self) -> float:
        """What the setting says, or longer than READY_SECONDS by how much slower than the reference the machine is."""
        return self._given_ready_seconds or READY_SECONDS * slowness.measure()

    def _take_lock(self) -> None:
        try:
            lock = self.layout.lock_file.open("a", encoding="ascii")
        except OSError as error:
            raise HomeNotUsable(self.layout.home, error.strerror or str(error)) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise AlreadyRunning(self.layout.home) from None
        self._lock = lock

    def _wanted(self, processes: Collection[str]) -> list[str]:
        lent = set()
        if not owns_postgres(self.outer_environment):
            lent.add("postgres")
        if not owns_redis(self.outer_environment):
            lent.add("redis")
        return [name for name in PROCESSES if name in processes and name not in lent]

    def _start_in_order(self, wanted: Collection[str], report: Callable[[str], None]) -> None:
        self._supervisor_process = start_supervisor(self.layout, self.outer_environment)
        supervisor = Supervisor(self.layout)
        if not wait_until(supervisor.is_listening, self._ready_seconds):
            raise NotReady("supervisord", self._ready_seconds, self.log_end("supervisord"))
        stores = [name for name in wanted if name not in SERVICES]
        services = [name for name in wanted if name in SERVICES]
        for name in stores:
            supervisor.start(name)
        self._wait_until_ready(stores, report)
        if services:
            report("  bringing the schema up to date")
        self._prepare_database(with_schema=bool(services), is_ours="postgres" in wanted)
        for name in services:
            supervisor.start(name)
        self._wait_until_ready(services, report)

    def _prepare_database(self, *, with_schema: bool, is_ours: bool) -> None:
        if is_ours:
            self._create_owner()
        if with_schema:
            self.migrate()
        if is_ours:
            passwords = {role: self._secrets[postgres_password_name(role)] for role in SERVICE_ROLES}
            superuser = self.database_url(postgres.SUPERUSER)
            grant_service_roles(superuser, passwords=passwords, limits=limits(self._database_settings()))

    def _database_settings(self) -> DatabaseSettings:
        prefix = "BATUA_DATABASE_"
        given = {name: value for name, value in self.environment().items() if name.startswith(prefix)}
        return DatabaseSettings.model_validate(
            {name.removeprefix("BATUA_").lower(): value for name, value in given.items()}
        )

    def _create_owner(self) -> None:
        superuser = self.database_url(postgres.SUPERUSER, "postgres")
        try:
            create_owner(superuser, owner=OWNER, password=self._secrets[postgres_password_name(OWNER)])
        except asyncpg.InvalidAuthorizationSpecificationError:
            port = self.layout.port_base + (PROCESSES["postgres"].port_offset or 0)
            if not listens(self.layout, "postgres"):  # taken since we looked whether it is free
                raise PortInUse(port, "postgres", holder_of(port)) from None
            raise PasswordRefused(port, self.layout.secrets_file) from None

    def migrate(self) -> None:
        """Bring the schema up to date, as its owner. Raises MigrationFailed, MigrationTooSlow."""
        seconds = max(MIGRATION_SECONDS, 2 * self._ready_seconds)
        try:
            result = subprocess.run(
                [sys.executable, "-m", "infra.cli.main", "migrate"],
                cwd=CHECKOUT,
                env=self.environment(),
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise MigrationTooSlow(seconds) from None
        if result.returncode != 0:
            raise MigrationFailed(result.stdout + result.stderr)

    def _wait_until_ready(self, processes: Collection[str], report: Callable[[str], None] = lambda _: None) -> None:
        for name in processes:
            wait_until_ready(self.layout, name, self._ready_seconds)
            report(f"  {name} is ready")


def _ready_seconds(environment: Mapping[str, str]) -> float | None:
    value = environment.get("BATUA_READY_SECONDS")
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        raise BadReadySeconds(value) from None
    if not 0 < seconds < float("inf"):
        raise BadReadySeconds(value)
    return seconds
