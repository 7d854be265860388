"""The stack of one run: every process of Batua in a home and on ports of its own, and a second Redis as the broker.

Hours become moments, so that what waits for long in production ends within a minute here.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from infra.local import redis, slowness
from infra.local.environment import POOLER_PORT, local_secrets
from infra.local.errors import AnotherIsStarting
from infra.local.layout import PROCESSES, Layout
from infra.local.pooler import pooler
from infra.local.ports import PortInUse, is_free
from infra.local.readiness import wait_until
from infra.local.secrets import postgres_password_name
from infra.local.stack import Stack
from infra.postgres.roles import SERVICE_ROLES

WELCOME_PAISE = 5000_00
SESSION_SECONDS = 20
READY_SECONDS = 300
"""A busy machine may take minutes to start what a quiet one starts in seconds."""
BASES = range(30000, 31000, 100)
"""Tests keep those from 20000 to 30000 for stacks that they are about to start."""
BROKER_OFFSET = 1
"""The broker's ports begin this much above the stack's."""
BROKER_SECONDS = 10.0
POOLER_OFFSET = 33
POOLED_CONNECTIONS = 20
"""Of each service to Postgres, for the thirty and more that its processes have to the pooler."""
MEASUREMENTS = 9


def usual_slowness() -> float:
    """How many times slower than the reference machine this one is.

    Of some measurements it is the one in the middle: on a busy machine a single one may be far off.
    """
    return statistics.median(slowness.measure() for _ in range(MEASUREMENTS))


class OwnStack:
    """The stack and its broker."""

    def __init__(self, home: Path, port_base: int, slow: float, *, with_pooler: bool = False) -> None:
        by_pooler = {POOLER_PORT: f"{port_base + POOLER_OFFSET}", "BATUA_DATABASE_POOLER": "transaction"}
        self.stack = Stack(home, port_base, _settings(port_base, slow) | (by_pooler if with_pooler else {}))
        self._with_pooler = with_pooler
        self._pooler = ExitStack()
        self._broker_layout = Layout(home.resolve() / "broker", port_base + BROKER_OFFSET)
        self._broker: subprocess.Popen[bytes] | None = None

    @property
    def layout(self) -> Layout:
        """Files and ports."""
        return self.stack.layout

    def port(self, process: str) -> int:
        """The port that this process, or the broker, listens on."""
        layout, name = (self._broker_layout, "redis") if process == "broker" else (self.layout, process)
        return layout.port_base + (PROCESSES[name].port_offset or 0)

    def start(self, report: Callable[[str], None]) -> None:
        """Start everything. Raises StackError."""
        self._broker_layout.make_directories()
        self.start_broker()
        if self._with_pooler:
            self._start_pooler()
        self.stack.start(report=report)

    def _start_pooler(self) -> None:
        secrets = local_secrets(self.layout)
        before = pooler(
            self.layout.home / "pooler",
            port=self.layout.port_base + POOLER_OFFSET,
            server_port=self.layout.port_base + (PROCESSES["postgres"].port_offset or 0),
            passwords={role: secrets[postgres_password_name(role)] for role in SERVICE_ROLES},
            connections=POOLED_CONNECTIONS,
        )
        self._pooler.enter_context(before)

    def start_broker(self) -> None:
        """Start the broker, empty, unless it runs."""
        if self._broker is not None and self._broker.poll() is None:
            return
        with self._broker_layout.log_file("redis").open("ab") as log:
            self._broker = subprocess.Popen(
                redis.server_command(self._broker_layout), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(lambda: redis.answers(self._broker_layout), BROKER_SECONDS)

    def stop(self) -> None:
        """Stop everything."""
        try:
            self.stack.stop()
        finally:
            self._pooler.close()
            if self._broker is not None:
                self._broker.kill()
                self._broker.wait()

    def processes(self, name: str) -> list[psutil.Process]:
        """The live processes that do this work; for Postgres, the server and its backends."""
        if name == "broker":
            pids = [self._broker.pid] if self._broker is not None and self._broker.poll() is None else []
        elif name == "postgres":
            pids = [self.stack.pid(name)]
        else:
            pids = self.stack.serving_pids(name)
        found = []
        for pid in pids:
            try:
                process = psutil.Process(pid)
                found += [process, *(process.children() if name == "postgres" else [])]
            except psutil.NoSuchProcess:
                continue
        return found

    def is_whole(self) -> bool:
        """Whether every process runs and answers."""
        return all(self.stack.is_ready(name) for name in PROCESSES) and redis.answers(self._broker_layout)

    def missing(self) -> list[str]:
        """The processes that do not answer."""
        return [name for name in PROCESSES if not self.stack.is_ready(name)]


@contextmanager
def running(home: Path, slow: float, report: Callable[[str], None], *, with_pooler: bool = False) -> Iterator[OwnStack]:
    """A running stack on free ports; it is stopped afterwards. Raises StackError."""
    own = _start_on_free_ports(home, slow, report, with_pooler=with_pooler)
    try:
        yield own
    finally:
        own.stop()


def _start_on_free_ports(home: Path, slow: float, report: Callable[[str], None], *, with_pooler: bool) -> OwnStack:
    bases = [int(os.environ["BATUA_PORT_BASE"])] if os.environ.get("BATUA_PORT_BASE") else random.sample(BASES, 10)
    for base in bases:
        if not all(is_free(base + offset) for offset in range(100)):
            continue
        own = OwnStack(home, base, slow, with_pooler=with_pooler)
        try:
            own.start(report)
        except (PortInUse, AnotherIsStarting):
            own.stop()
        except BaseException:
            own.stop()
            raise
        else:
            return own
    raise SystemExit("found no free ports for a stack of our own: set BATUA_PORT_BASE")


def _settings(port_base: int, slow: float) -> dict[str, str]:
    """`slow`: how many times longer than on the reference machine a call may take."""
    seconds = {
        "BATUA_WITHDRAWALS__BANK_TIMEOUT_SECONDS": 2,
        "BATUA_WITHDRAWALS__LEASE_SECONDS": 6,
        "BATUA_WITHDRAWALS__NOT_FOUND_GRACE_SECONDS": 2,
        "BATUA_ON_RAMPS__BANK_TIMEOUT_SECONDS": 1.5,
    }
    broker_port = port_base + BROKER_OFFSET + (PROCESSES["redis"].port_offset or 0)
    return {
        "BATUA_READY_SECONDS": f"{READY_SECONDS}",
        "BATUA_PROCESSES": "2",
        "BATUA_BROKER_URL": f"redis://127.0.0.1:{broker_port}/0",
        "BATUA_BCRYPT_ROUNDS": "4",
        "BATUA_RATE_LIMITS__ENABLED": "false",
        "BATUA_QUOTAS__BULK_PER_MINUTE": "1000000",
        "BATUA_QUOTAS__WITHDRAWALS_PER_TEN_SECONDS": "1000000",
        "BATUA_PIN_TOKEN_LIFETIME_SECONDS": "86400",
        "BATUA_WELCOME_BALANCE_PAISE": f"{WELCOME_PAISE}",
        "BATUA_WITHDRAWALS__RETRY_BASE_SECONDS": "0.2",
        "BATUA_WITHDRAWALS__RETRY_CAP_SECONDS": "3",
        "BATUA_WITHDRAWALS__SWEEP_SECONDS": "1",
        "BATUA_ON_RAMPS__ENQUIRE_AFTER_SECONDS": "3",
        "DUMMY_BANK_SESSION_SECONDS": f"{SESSION_SECONDS}",
        "DUMMY_BANK_WEBHOOK_RETRY_CAP_SECONDS": "5",
        "DUMMY_BANK_WEBHOOK_ATTEMPTS": "100",
        "DUMMY_BANK_HANG_SECONDS": "15",
        "DUMMY_BANK_HOLD_SECONDS": "15",
        **{name: f"{value * slow:.2f}" for name, value in seconds.items()},
    }
