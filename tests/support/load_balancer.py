"""HAProxy before replicas of services: it sends each request to one that is ready, and repeats none."""

from __future__ import annotations

import csv
import io
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.deadlines import deadline
from tests.support.needed import needed_program
from tests.support.ports import free_ports
from tests.support.waiting import eventually

CHECK_MILLISECONDS = 200
FALL = 2
"""Failed checks after which a replica gets no more requests."""


class LoadBalancer:
    """A running HAProxy. Use `balancing`."""

    def __init__(self, ports: Mapping[str, int], admin_port: int) -> None:
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self._admin_port = admin_port

    def ready(self, service: str) -> int:
        """To how many replicas of a service it sends requests now."""
        with socket.create_connection(("127.0.0.1", self._admin_port), timeout=deadline()) as connection:
            connection.sendall(b"show stat\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        rows = csv.DictReader(io.StringIO(answer.removeprefix("# ")))
        return sum(row["pxname"] == service and row["svname"].isdecimal() and row["status"] == "UP" for row in rows)

    def until_ready(self, service: str, count: int) -> None:
        """Wait until so many replicas of a service get requests."""
        eventually(lambda: self.ready(service) == count, f"{count} of {service} get requests", seconds=60)


@contextmanager
def balancing(replicas: Mapping[str, Sequence[int]], directory: Path) -> Iterator[LoadBalancer]:
    """A proxy with a port of its own for each service, before replicas on these ports of this machine."""
    program = needed_program("haproxy", "haproxy")
    admin_port, *bound = free_ports(len(replicas) + 1)
    ports = dict(zip(replicas, bound, strict=True))
    configuration = directory / "haproxy.cfg"
    configuration.write_text(_configuration(replicas, ports, admin_port), encoding="ascii")
    with (directory / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([program, "-db", "-f", str(configuration)], stdout=log, stderr=log)
    balancer = LoadBalancer(ports, admin_port)
    try:
        eventually(lambda: _answers(balancer, process), "the proxy answers")
        yield balancer
    finally:
        process.kill()
        process.wait()


def _answers(balancer: LoadBalancer, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the proxy has ended"
    try:
        balancer.ready("")
    except OSError:
        return False
    return True


def _configuration(replicas: Mapping[str, Sequence[int]], ports: Mapping[str, int], admin_port: int) -> str:
    wait = int(deadline(30) * 1000)
    lines = [
        "global",
        f"    stats socket ipv4@127.0.0.1:{admin_port} level admin",
        "defaults",
        "    mode http",
        *(f"    timeout {name} {wait}" for name in ("connect", "client", "server", "check")),
        "    retries 0",
        "    option forwardfor",
        "    option httpchk",
        "    http-check send meth GET uri /readyz",
        "    http-check expect status 200",
        f"    default-server check inter {CHECK_MILLISECONDS} fall {FALL} rise 1",
    ]
    for service, behind in replicas.items():
        lines += [f"listen {service}", f"    bind 127.0.0.1:{ports[service]}"]
        lines += [f"    server {number} 127.0.0.1:{port}" for number, port in enumerate(behind)]
    return "\n".join([*lines, ""])
