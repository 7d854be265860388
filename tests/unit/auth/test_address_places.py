from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from shared.auth.address_places import AddressPlaces
from shared.ids import new_token

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract names")
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"
TAKE_AND_STAY = """
import sys
from shared.auth.address_places import AddressPlaces
place = AddressPlaces(1, sys.argv[1].encode()).take(sys.argv[2])
print(place is not None, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def key() -> bytes:
    return new_token().encode()


def test_an_address_has_so_many_places_in_all_processes(key: bytes) -> None:
    of_one, of_other = AddressPlaces(2, key), AddressPlaces(2, key)
    first, second = of_one.take(HERE), of_other.take(HERE)
    assert first is not None
    assert second is not None
    assert of_one.take(HERE) is None
    assert of_other.take(HERE) is None
    elsewhere = of_one.take(ELSEWHERE)
    assert elsewhere is not None
    second.give_back()
    third = of_one.take(HERE)
    assert third is not None
    for place in (first, third, elsewhere):
        place.give_back()


def test_one_address_gets_half_of_the_cores(key: bytes) -> None:
    for cores, most in ((1, 1), (2, 1), (3, 1), (4, 2), (9, 4)):
        places = AddressPlaces.of_machine(cores, key)
        taken = [places.take(HERE) for _ in range(most)]
        assert None not in taken
        assert places.take(HERE) is None
        for place in taken:
            if place is not None:
                place.give_back()


def test_a_process_that_is_killed_gives_back_its_places(key: bytes) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", TAKE_AND_STAY, key.decode(), HERE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        places = AddressPlaces(1, key)
        assert places.take(HERE) is None
        other.kill()
        other.wait()
        place = places.take(HERE)
        assert place is not None
        place.give_back()


def test_where_no_socket_can_be_had_an_address_has_its_place(key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> socket.socket:
        raise OSError(24, "too many open files")

    monkeypatch.setattr(socket, "socket", refused)
    place = AddressPlaces(1, key).take(HERE)
    assert place is not None
    place.give_back()
