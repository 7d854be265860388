"""Ports for what tests start are given once, and are none that the system gives to others by chance."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ports
from tests.support.ports import AT_ONCE, Ports

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_BY_DEFAULT = 32_768
"""Of those that Linux gives, if no administrator has decided otherwise."""


@pytest.fixture
def claimants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Ports, Ports]]:
    """Two processes that look for ports between the same bounds, where no other test does; the locks are this test's
    own.
    """
    claimed = Ports()
    lowest = claimed.take(1)[0] // AT_ONCE * AT_ONCE
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    one, other = (Ports(lowest, lowest + 20, at_once=10) for _ in range(2))
    yield one, other
    for each in (one, other, claimed):
        each.close()


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
    if lowest_of_system < LOWEST_BY_DEFAULT:
        pytest.skip("this system gives lower ports than others do")
    assert max(ports.free_ports(3)) < ports.HIGHEST <= lowest_of_system
