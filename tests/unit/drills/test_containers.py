"""What containers run with: the files of `infra/ha/` as the programs themselves read them, with secrets of Compose."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from drills.high_availability.cluster import CONFIGURATION
from infra.compose_secrets import prepare_compose
from infra.local.layout import CHECKOUT
from infra.local.privileges import find_way, own_directory, wrapped
from tests.support.deadlines import deadline
from tests.support.needed import needed_program
from tests.support.ports import free_ports
from tests.support.waiting import eventually

SSL_REQUEST = struct.pack("!II", 8, 80877103)
FILES = ("pgbouncer.ini", "pgbouncer-containers.ini")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """As containers have them, where only the names of files matter."""
    folder = tmp_path / "compose"
    prepare_compose(tmp_path / "compose.env", folder, ["ha"])
    declared = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8"))["secrets"]
    for name, secret in declared.items():
        file = folder / Path(secret["file"]).name
        if file.name != name:
            (folder / name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture
def pooler(secrets: Path, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The pooler of containers on a port of the loopback, and what it says."""
    (port,) = free_ports(1)
    home = tmp_path / "batua"
    home.mkdir()
    changes = {
        "/opt/batua": str(home),
        "/run/secrets": str(secrets),
        "listen_addr = *": "listen_addr = 127.0.0.1",
        "listen_port = 6432": f"listen_port = {port}",
    }
    for name in FILES:
        text = (CONFIGURATION / name).read_text(encoding="utf-8")
        for was, becomes in changes.items():
            text = text.replace(was, becomes)
        (home / name).write_text(text, encoding="utf-8")
    way = find_way(directory=tmp_path, program=Path("/bin/true"))
    for folder in (home, secrets):
        own_directory(way, folder)
    log = tmp_path / "log"
    command = wrapped(way, [needed_program("pgbouncer", "pgbouncer"), str(home / FILES[1])])
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        eventually(lambda: "process up" in log.read_text() or process.poll() is not None, "the pooler has started")
        yield port, log
    finally:
        process.kill()
        process.wait()


def test_the_pooler_keeps_what_the_drill_gives_it(pooler: tuple[int, Path]) -> None:
    port, log = pooler
    said = log.read_text()
    assert "max_client_conn: 2000" in said, said
    assert f"listening on 127.0.0.1:{port}" in said
    assert "listening on unix" not in said


def test_the_pooler_shows_the_certificate_of_its_name(pooler: tuple[int, Path], secrets: Path) -> None:
    port, log = pooler
    verifying = ssl.create_default_context(cafile=str(secrets / "authority"))
    with socket.create_connection(("127.0.0.1", port), timeout=deadline()) as plain:
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S", log.read_text()
        with verifying.wrap_socket(plain, server_hostname="pgbouncer") as secured:
            assert secured.version() in ("TLSv1.2", "TLSv1.3")


def test_the_pooler_takes_no_one_without_tls(pooler: tuple[int, Path]) -> None:
    port, _ = pooler
    words = b"user\0user_app\0database\0batua\0\0"
    with socket.create_connection(("127.0.0.1", port), timeout=deadline()) as plain:
        plain.sendall(struct.pack("!II", 8 + len(words), 196608) + words)
        assert b"SSL required" in plain.recv(1024)


def test_haproxy_takes_its_file_with_the_addresses_of_compose() -> None:
    haproxy = needed_program("haproxy", "haproxy")
    service = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["haproxy"]
    done = subprocess.run(
        [haproxy, "-c", "-f", str(CONFIGURATION / "haproxy.cfg")],
        env=os.environ | service["environment"],
        capture_output=True,
        text=True,
        timeout=deadline(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
