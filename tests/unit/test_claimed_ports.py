"""Ports for what tests start are given once, and are none that the system gives to others by chance."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ports
from tests.support.ports import Ports

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.fixture
def claimants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Ports, Ports]]:
    """Two processes that look for ports between the same bounds; the locks are this test's own."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    one, other = Ports(10_000, 10_020, at_once=10), Ports(10_000, 10_020, at_once=10)
    yield one, other
    one.close()
    other.close()


def test_no_port_is_given_twice(claimants: tuple[Ports, Ports]) -> None:
    one, other = claimants
    given = [port for _ in range(3) for claimant in (one, other) for port in claimant.take(1)]
    assert len(set(given)) == len(given)
    with pytest.raises(RuntimeError):
        one.take(20)


def test_a_port_on_which_another_program_listens_is_passed_over(claimants: tuple[Ports, Ports]) -> None:
    one, other = claimants
    first, second = one.take(2)
    one.close()
    with socket.create_server(("127.0.0.1", first)):
        assert other.take(1) == [second]


def test_the_system_gives_none_of_them_to_others() -> None:
    if not EPHEMERAL.exists():
        pytest.skip("this system does not say which ports it gives")
    lowest_of_system = int(EPHEMERAL.read_text(encoding="ascii").split()[0])
    assert max(ports.free_ports(3)) < ports.HIGHEST <= lowest_of_system
