from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from shared.http.client_address import MAX_HOPS, client_address, is_in

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
BANK = "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        (BANK, [], BANK),
        ("::ffff:203.0.113.7", [], BANK),
        ("10.0.0.1", [BANK], BANK),
        ("10.0.0.1", [f"{BANK}, 10.0.0.2"], BANK),
        ("10.0.0.1", [BANK, "10.0.0.2"], BANK),
        ("fd00::1", [BANK], BANK),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.9"], "10.0.0.9"),
    ],
)
def test_the_caller_is_the_address_that_the_last_trusted_proxy_appended(
    peer: str, forwarded_for: list[str], expected: str
) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == ip_address(expected)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("198.51.100.9", [BANK], "198.51.100.9"),
        ("10.0.0.1", [f"{BANK}, 198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", [BANK, "198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", [f"{BANK}, 198.51.100.9, 10.0.0.2"], "198.51.100.9"),
    ],
)
def test_addresses_that_the_caller_wrote_into_the_header_are_ignored(
    peer: str, forwarded_for: list[str], expected: str
) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == ip_address(expected)


@pytest.mark.parametrize(
    ("peer", "forwarded_for"),
    [
        (None, []),
        ("", []),
        ("testclient", []),
        ("10.0.0.1", ["unknown"]),
        ("10.0.0.1", [f"{BANK}, "]),
        ("10.0.0.1", [", ".join([BANK] * (MAX_HOPS + 1))]),
        (BANK, [BANK]),
        (BANK, [f"{BANK}, 127.0.0.1"]),
    ],
)
def test_an_address_that_cannot_be_determined_is_none(peer: str | None, forwarded_for: list[str]) -> None:
    assert client_address(peer, forwarded_for, PROXIES) is None


def test_an_address_is_only_in_networks_of_its_own_ip_version() -> None:
    assert is_in(ip_address("10.1.2.3"), PROXIES)
    assert is_in(ip_address("fd00::5"), PROXIES)
    assert not is_in(ip_address(BANK), PROXIES)
