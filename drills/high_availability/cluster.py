"""Three nodes of Postgres under Patroni, etcd, HAProxy and PgBouncer, with the configuration of `infra/ha/`."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from drills.high_availability import programs
from drills.high_availability.network import HERE, Place, places
from infra.demo.actors import NO_TLS
from infra.local import postgres
from infra.local.errors import StackError
from infra.local.layout import CHECKOUT
from infra.local.privileges import Way, find_way, own_directory, wrapped

CONFIGURATION = CHECKOUT / "infra" / "ha"
NODES = 3
SMALL_DISK = "1500m"
"""Of the node whose disk is filled: a tmpfs."""
PRIMARY_PORT, POOLER_PORT, ETCD_PORT = 5000, 6432, 2379
START_SECONDS = 120.0
CLOSE_BYTES = 16 * 1024 * 1024


class NotHealthy(StackError):
    """The cluster is not as it must be before the next fault."""


@dataclass(slots=True)
class Node:
    """One node: Patroni and the Postgres that it runs."""

    place: Place
    home: Path
    way: Way
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """As Patroni calls it."""
        return f"node{self.place.number}"

    @property
    def log(self) -> Path:
        """What Patroni and Postgres say: not on the disk that is filled."""
        return self.home.parent / f"{self.name}.log"

    def start(self) -> None:
        """Start Patroni, which starts Postgres."""
        # To enter it needs root, so privileges are given up within. Patroni is process 1 there, as in a container, and
        # reaps the server that it stops. A server that has ended but was not reaped would seem to run on.
        command = self.place.within(wrapped(self.way, [str(programs.patroni()), str(CONFIGURATION / "patroni.yml")]))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=CHECKOUT, env=dict(self.environment), stdout=log, stderr=log, start_new_session=True
            )

    def kill_postgres(self) -> None:
        """SIGKILL to the server's first process, which takes the others along. Patroni stays."""
        first = (self.home / "data" / "postmaster.pid").read_text(encoding="ascii").split()[0]
        os.kill(next(pid for pid in self._pids() if _pid_within(pid) == first), signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL to everything that runs in this place, as when the machine loses power."""
        for pid in self._pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self.process is not None:
            self.process.wait(10)

    def _pids(self) -> list[int]:
        listed = subprocess.run(
            ["ip", "netns", "pids", self.place.namespace], capture_output=True, text=True, timeout=10, check=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def fill_disk(self) -> Path:
        """Leave no room on the node's disk; the file to remove. Raises OSError unless the disk is a small one."""
        filler = self.home / "filler"
        with filler.open("wb") as file:
            block = b"\0" * 1024 * 1024
            try:
                while True:
                    file.write(block)
                    file.flush()
            except OSError:
                return filler


@dataclass(slots=True)
class Cluster:
    """The running cluster. `superuser` is the password of `postgres`."""

    nodes: Sequence[Node]
    superuser: str
    pooler_password: Callable[[Mapping[str, str]], None]
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=3, trust_env=False, verify=NO_TLS))

    @property
    def superuser_url(self) -> str:
        """To the primary, past the pooler."""
        return f"postgresql://{postgres.SUPERUSER}:{self.superuser}@{HERE}:{PRIMARY_PORT}/postgres"

    def members(self) -> dict[str, Mapping[str, Any]]:
        """What Patroni says of each node, by its name; nothing where no node answers."""
        for node in self.nodes:
            try:
                answer = self.http.get(f"http://{node.place.address}:8008/cluster")
                return {member["name"]: member for member in answer.json()["members"]}
            except (httpx.HTTPError, ValueError, KeyError):
                continue
        return {}

    def leader(self) -> Node:
        """The node that is the primary now. Raises NotHealthy."""
        for name, member in self.members().items():
            if member["role"] == "leader":
                return next(node for node in self.nodes if node.name == name)
        raise NotHealthy("there is no leader")

    def standbys(self) -> list[Node]:
        """The other nodes."""
        leader = self.leader()
        return [node for node in self.nodes if node is not leader]

    def is_healthy(self) -> bool:
        """Whether there is a leader, and every other node follows it closely."""
        members = self.members().values()
        following = [each for each in members if each["state"] == "streaming" and _lag(each) < CLOSE_BYTES]
        return len(following) == len(self.nodes) - 1 and any(
            each["role"] == "leader" and each["state"] == "running" for each in members
        )

    def until_healthy(self, seconds: float = START_SECONDS) -> None:
        """Wait for that. Raises NotHealthy."""
        ends_at = time.monotonic() + seconds
        while not self.is_healthy():
            ended = [node.name for node in self.nodes if node.process is not None and node.process.poll() is not None]
            if ended:
                raise NotHealthy(f"Patroni has ended: see the log of {', '.join(ended)}")
            if time.monotonic() > ends_at:
                raise NotHealthy(f"the cluster is not healthy after {seconds:.0f} s: {self.members()}")
            time.sleep(0.5)

    def switch_over(self) -> None:
        """Ask for another leader, as before an upgrade of the machine.

        Which one is left to the standbys: where one is named, Patroni lets the others wait for two seconds before they
        follow it, and commits wait for one that follows.
        """
        leader = self.leader()
        url = f"http://{leader.place.address}:8008/switchover"
        answer = self.http.post(url, json={"leader": leader.name}, timeout=60)
        answer.raise_for_status()


@contextmanager
def running(home: Path) -> Iterator[Cluster]:
    """A cluster in `home`; nothing of it runs at the end. Raises StackError."""
    programs.require_root()
    programs.require_packages()
    programs.patroni()
    with ExitStack() as cleanup:
        found = cleanup.enter_context(places(NODES))
        cleanup.enter_context(_etcd(home))
        passwords = {name: secrets.token_urlsafe(24) for name in ("SUPERUSER", "REPLICATION")}
        nodes = [_node(place, home / f"node{place.number}", passwords, cleanup) for place in found]
        cleanup.callback(_kill_all, nodes)
        for node in nodes:
            node.start()
        addresses = {f"BATUA_HA_NODE{node.place.number}": node.place.address for node in nodes}
        haproxy = ["haproxy", "-db", "-f", str(CONFIGURATION / "haproxy.cfg")]
        cleanup.enter_context(_program("haproxy", haproxy, home, addresses | {"BATUA_HA_LISTEN": HERE}))
        way = nodes[0].way
        pooler = _Pooler(home / "pgbouncer", way)
        cleanup.enter_context(pooler.running())
        cluster = Cluster(nodes, passwords["SUPERUSER"], pooler.let_in)
        cluster.until_healthy()
        yield cluster


def _node(place: Place, home: Path, passwords: Mapping[str, str], cleanup: ExitStack) -> Node:
    home.mkdir(parents=True)
    if place.number == NODES:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "batua-ha", str(home)], check=True)
        cleanup.callback(subprocess.run, ["umount", "-l", str(home)], check=False)
    # Python may lie where only root can enter, so a program of Patroni's own environment is tried.
    way = find_way(directory=home, program=programs.VENV / "bin" / "pip")
    own_directory(way, home)
    own = {
        "PATRONI_NAME": f"node{place.number}",
        "PATRONI_ETCD3_HOSTS": f"{HERE}:{ETCD_PORT}",
        "PATRONI_RESTAPI_LISTEN": f"{place.address}:8008",
        "PATRONI_RESTAPI_CONNECT_ADDRESS": f"{place.address}:8008",
        "PATRONI_POSTGRESQL_LISTEN": f"{place.address},127.0.0.1:5432",
        "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"{place.address}:5432",
        "PATRONI_POSTGRESQL_DATA_DIR": str(home / "data"),
        "PATRONI_POSTGRESQL_BIN_DIR": str(postgres.program("postgres").parent),
        "PATRONI_POSTGRESQL_PGPASS": str(home / "pgpass"),
        "PATRONI_SUPERUSER_USERNAME": postgres.SUPERUSER,
        "PATRONI_SUPERUSER_PASSWORD": passwords["SUPERUSER"],
        "PATRONI_REPLICATION_USERNAME": "replicator",
        "PATRONI_REPLICATION_PASSWORD": passwords["REPLICATION"],
    }
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PATRONI_"))}
    return Node(place, home, way, outer | own)


def _pid_within(pid: int) -> str:
    """The process's number within its own namespace, by that number here; empty where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    return next(line.split()[-1] for line in status.splitlines() if line.startswith("NSpid:"))


def _lag(member: Mapping[str, Any]) -> float:
    """Bytes behind the leader; Patroni says `unknown` where it does not know."""
    lag = member.get("lag")
    return lag if isinstance(lag, int) else float("inf")


def _kill_all(nodes: Sequence[Node]) -> None:
    for node in nodes:
        node.kill()


@contextmanager
def _etcd(home: Path) -> Iterator[None]:
    address = f"http://{HERE}:{ETCD_PORT}"
    command = ["etcd", "--data-dir", str(home / "etcd"), "--listen-client-urls", address]
    command += ["--advertise-client-urls", address, "--listen-peer-urls", f"http://{HERE}:2380"]
    with _program("etcd", command, home, {}):
        yield


@contextmanager
def _program(name: str, command: Sequence[str], home: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with (home / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=home, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for each in family:
        if each.is_running():
            each.kill()


class _Pooler:
    """PgBouncer with the file that real use has, where the drill's addresses follow it."""

    def __init__(self, home: Path, way: Way) -> None:
        home.mkdir()
        self._home, self._way = home, way
        self._users = home / "userlist.txt"
        (home / "pgbouncer.ini").write_text(rendered_pooler(HERE, self._users), encoding="utf-8")
        self._users.touch(mode=0o600)
        own_directory(way, home)
        self._process: subprocess.Popen[bytes] | None = None

    def let_in(self, passwords: Mapping[str, str]) -> None:
        """Let these roles in, and no others."""
        lines = [f'"{role}" "{password}"\n' for role, password in passwords.items()]
        self._users.write_text("".join(lines), encoding="ascii")
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    @contextmanager
    def running(self) -> Iterator[None]:
        command = wrapped(self._way, [shutil.which("pgbouncer") or "pgbouncer", str(self._home / "pgbouncer.ini")])
        with (self._home / "pgbouncer.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=CHECKOUT, stdout=log, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            _end(self._process)


def rendered_pooler(address: str, users: Path) -> str:
    """The pooler's configuration: that of `infra/ha/`, but for the addresses and the file of users."""
    text = (CONFIGURATION / "pgbouncer.ini").read_text(encoding="utf-8")
    own = {"*": f"host={address} port={PRIMARY_PORT}", "listen_addr": address, "auth_file": str(users)}
    for name, value in own.items():
        text, changed = re.subn(rf"^{re.escape(name)} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert changed == 1, f"pgbouncer.ini says {name} once"
    return text
