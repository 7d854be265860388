"""Whose address counts behind proxies: every form that they write is read, and nothing that a caller wrote counts."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from shared import callers
from shared.callers import Caller
from shared.config import ProxySettings
from shared.http import client_address
from shared.http.client_address import MAX_HOPS, CallerNetworks, Source, is_in, source_of, walk
from shared.http.forwarded import Address, HeaderName
from shared.production import Network

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
PROXY, BANK = "10.0.0.1", "203.0.113.7"
HEADERS: list[HeaderName] = ["forwarded", "x-forwarded-for"]

proxies = st.one_of(
    st.ip_addresses(network=IPv4Network("10.0.0.0/8")), st.ip_addresses(network=IPv6Network("fd00::/8"))
)
strangers = st.one_of(
    st.ip_addresses(network=IPv4Network("203.0.113.0/24")), st.ip_addresses(network=IPv6Network("2001:db8::/32"))
)
ports = st.one_of(st.just(""), st.integers(0, 65535).map(lambda port: f":{port}"), st.just(":_hidden"))
blanks = st.text(" \t", max_size=2)
inventions = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
parameters = st.lists(
    st.sampled_from(["proto=https", "by=_gateway", r'host="a\", for=203.0.113.9"', 'Secret="x;for=1.2.3.4"', ""]),
    max_size=3,
    unique_by=lambda pair: pair.partition("=")[0],
)


@st.composite
def nodes(draw: st.DrawFn, address: Address) -> str:
    """An address in one of the forms that proxies write."""
    port = draw(ports)
    if isinstance(address, IPv4Address):
        return f"{address}{port}"
    return f"[{address}]{port}" if port or draw(st.booleans()) else str(address)


@st.composite
def elements(draw: st.DrawFn, header: HeaderName, address: Address) -> str:
    """What a proxy appends for an address that called it."""
    node = draw(nodes(address))
    if draw(st.booleans()):
        node = f'"{node}"'
    if header == "x-forwarded-for":
        return draw(blanks) + node + draw(blanks)
    pairs = draw(st.permutations([f"{draw(st.sampled_from(['for', 'For', 'FOR']))}={node}", *draw(parameters)]))
    return draw(blanks) + (draw(blanks) + ";" + draw(blanks)).join(pairs) + draw(blanks)


@st.composite
def chains(draw: st.DrawFn) -> tuple[HeaderName, Address, list[Address], list[str], str]:
    """A header, the caller, the proxies behind the peer, their elements, and what the caller invented before them."""
    header = draw(st.sampled_from(HEADERS))
    caller = draw(strangers)
    passed = draw(st.lists(proxies, max_size=4))
    return header, caller, passed, [draw(elements(header, each)) for each in (caller, *passed)], draw(inventions)


@given(chains(), st.data())
def test_the_caller_is_whom_the_last_trusted_proxy_names_whatever_the_caller_wrote(
    chain: tuple[HeaderName, Address, list[Address], list[str], str], data: st.DataObject
) -> None:
    header, caller, _, written, invented = chain
    lines = [invented]
    for element in written:  # a proxy appends to the line, or adds one
        if data.draw(st.booleans()):
            lines.append(element)
        else:
            lines[-1] += f",{element}"
    assert walk(PROXY, header, lines, PROXIES) == Source(caller, is_caller=True)


@given(
    chains(), st.sampled_from(["unknown", "_hidden", "", "nonsense", '"', "203.0.113.7.", "1.2.3.4:x", "[::1", "\\"])
)
def test_the_walk_ends_at_an_element_that_tells_no_address(
    chain: tuple[HeaderName, Address, list[Address], list[str], str], untold: str
) -> None:
    """The proxy that wrote it counts, and is not the caller: no list of allowed networks lets it in."""
    header, _, passed, written, invented = chain
    behind = ",".join([invented, *written[:1], f"for={untold}" if header == "forwarded" else untold, *written[1:]])
    nearest = passed[0] if passed else ip_address(PROXY)
    found = walk(PROXY, header, [behind], PROXIES)
    assert (found.nearest, found.caller) == (nearest, None)


@given(st.sampled_from(HEADERS), strangers, st.lists(inventions))
def test_the_header_of_a_peer_that_is_no_proxy_of_ours_is_ignored(
    header: HeaderName, peer: Address, lines: list[str]
) -> None:
    assert walk(str(peer), header, lines, PROXIES) == Source(peer, is_caller=True)


@given(st.sampled_from(HEADERS), st.lists(inventions))
def test_whatever_is_written_is_read_to_an_end(header: HeaderName, lines: list[str]) -> None:
    found = walk(PROXY, header, lines, PROXIES)
    assert isinstance(found.nearest, IPv4Address | IPv6Address)


@pytest.mark.parametrize(
    ("header", "written", "caller"),
    [
        ("x-forwarded-for", "203.0.113.7:4711", BANK),
        ("x-forwarded-for", "[2001:db8::7]:4711", "2001:db8::7"),
        ("x-forwarded-for", "2001:db8::7", "2001:db8::7"),
        ("x-forwarded-for", '"203.0.113.7"', BANK),
        ("x-forwarded-for", '"[2001:db8::7]:4711"', "2001:db8::7"),
        ("x-forwarded-for", "::ffff:203.0.113.7", BANK),
        ("x-forwarded-for", f"{BANK}, 10.0.0.1", BANK),
        ("x-forwarded-for", f"198.51.100.9, {BANK}, 10.0.0.2:80, 10.0.0.1", BANK),
        ("x-forwarded-for", f"{BANK}, 198.51.100.9", "198.51.100.9"),
        ("x-forwarded-for", "", PROXY),
        ("x-forwarded-for", "10.0.0.9", "10.0.0.9"),
        ("forwarded", "for=203.0.113.7", BANK),
        ("forwarded", 'For="[2001:db8::7]:4711"', "2001:db8::7"),
        ("forwarded", 'for=203.0.113.7;proto=http;by="[fd00::1]", for=10.0.0.2', BANK),
        ("forwarded", r'for="203.0.113.7:_p";host="a\", for=198.51.100.9"', BANK),
        ("forwarded", 'for="198.51.100.9, for=203.0.113.7', BANK),
    ],
)
def test_the_forms_that_proxies_write(header: HeaderName, written: str, caller: str) -> None:
    assert walk(PROXY, header, [written], PROXIES) == Source(ip_address(caller), is_caller=True)


@pytest.mark.parametrize(
    ("header", "written"),
    [
        ("x-forwarded-for", f"{BANK}, "),
        ("x-forwarded-for", f"for={BANK}"),
        ("x-forwarded-for", "fe80::7%eth0"),
        ("x-forwarded-for", "[203.0.113.7]"),
        ("forwarded", BANK),
        ("forwarded", "proto=https"),
        ("forwarded", f"for={BANK};for=198.51.100.9"),
        ("forwarded", f"for={BANK};proto=a b"),
        ("forwarded", f'for={BANK};host="a'),
        ("forwarded", f'for={BANK};host=a"b"'),
    ],
)
def test_an_element_that_breaks_the_grammar_tells_no_address(header: HeaderName, written: str) -> None:
    assert walk(PROXY, header, [written], PROXIES) == Source(ip_address(PROXY), is_caller=False)


def test_a_chain_has_a_bounded_length() -> None:
    for count, is_caller in ((MAX_HOPS, True), (MAX_HOPS + 1, False)):
        found = walk(PROXY, "x-forwarded-for", [", ".join(["10.0.0.2"] * count)], PROXIES)
        assert found == Source(ip_address("10.0.0.2"), is_caller=is_caller)
    invented = ", ".join(["192.0.2.1"] * 1000)
    assert walk(PROXY, "x-forwarded-for", [f"{invented}, {BANK}"], PROXIES).caller == ip_address(BANK)


@pytest.mark.parametrize("peer", [None, "", "testclient"])
def test_a_peer_without_a_network_address_is_no_caller_that_a_list_could_hold(peer: str | None) -> None:
    assert walk(peer, "x-forwarded-for", [BANK], PROXIES) == Source(None, is_caller=False)


def test_a_peer_has_one_spelling() -> None:
    assert walk("::ffff:203.0.113.7", "none", [], PROXIES).caller == ip_address(BANK)
    assert walk("fe80::7%eth0", "none", [], PROXIES).caller == ip_address("fe80::7")


@pytest.mark.parametrize(
    ("header", "caller"), [("Forwarded", BANK), ("X-Forwarded-For", "198.51.100.9"), ("none", PROXY)]
)
def test_one_header_is_believed_and_every_other_ignored(header: str, caller: str) -> None:
    settings = ProxySettings(trusted_proxies=PROXIES, forwarded_header=header)
    headers = [(b"x-forwarded-for", b"198.51.100.9"), (b"forwarded", b"for=203.0.113.7"), (b"x-real-ip", b"192.0.2.1")]
    request = Request({"type": "http", "headers": headers, "client": (PROXY, 4711)})
    assert source_of(request, settings).caller == ip_address(caller)


def test_the_peer_is_whom_our_own_server_has_seen() -> None:
    """Another server's middleware may put a forwarded address in its place, trusting whom it likes."""
    scope = {"type": "http", "headers": [], "client": (BANK, 0), "extensions": {callers.EXTENSION: Caller("192.0.2.1")}}
    assert source_of(Request(scope), ProxySettings(trusted_proxies=PROXIES)).caller == ip_address("192.0.2.1")


def test_an_address_is_only_in_networks_of_its_own_ip_version() -> None:
    assert is_in(ip_address("10.1.2.3"), PROXIES)
    assert is_in(ip_address("fd00::5"), PROXIES)
    assert not is_in(ip_address(BANK), PROXIES)


def scope_from(peer: str, *lines: str) -> dict[str, object]:
    """A request through this peer."""
    headers = [(b"x-forwarded-for", line.encode()) for line in lines]
    return {"type": "http", "headers": headers, "extensions": {callers.EXTENSION: Caller(peer)}}


@pytest.mark.parametrize(
    ("peer", "lines", "network"),
    [
        (BANK, [], BANK),
        (BANK, ["198.51.100.7"], BANK),
        ("2001:db8::1:2", [], "2001:db8::/64"),
        (PROXY, ["198.51.100.7"], "198.51.100.7"),
        (PROXY, ["192.0.2.1", "198.51.100.7, 10.0.0.9"], "198.51.100.7"),
        (PROXY, ["192.0.2.1", "198.51.100.8, 10.0.0.9"], "198.51.100.8"),
        (PROXY, [], None),
        (PROXY, ["unknown"], None),
        (PROXY, ["x" * 1000 + ", 198.51.100.7"], "198.51.100.7"),
        ("/run/batua.sock", [], None),
    ],
)
def test_the_network_of_one_caller_is_found_again(peer: str, lines: list[str], network: str | None) -> None:
    settings = ProxySettings.model_construct(forwarded_header="x-forwarded-for", trusted_proxies=PROXIES)
    networks = CallerNetworks(settings)
    for _ in range(2):
        assert networks.of(scope_from(peer, *lines)) == network
    assert networks.of(scope_from(PROXY, "203.0.113.9")) == "203.0.113.9"


def test_headers_are_remembered_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[tuple[str, ...]] = []

    def counted(peer: str | None, header: HeaderName, lines: Sequence[str], trusted: Sequence[Network]) -> Source:
        walked.append(tuple(lines))
        return walk(peer, header, lines, trusted)

    monkeypatch.setattr(client_address, "walk", counted)
    monkeypatch.setattr(client_address, "REMEMBERED_NETWORKS", 2)
    networks = CallerNetworks(
        ProxySettings.model_construct(forwarded_header="x-forwarded-for", trusted_proxies=PROXIES)
    )
    one, two, three = (f"203.0.113.{number}" for number in range(3))
    long = f"{'x' * client_address.REMEMBERED_BYTES}, {one}"
    for address in (one, two, one, long, long, three, one, two):
        assert networks.of(scope_from(PROXY, address)) == address.removeprefix("x" * 100 + ", ")
    assert [lines for (lines,) in walked] == [one, two, long, long, three, two], "two has made room for three"


def test_a_service_that_asks_for_no_address_knows_none() -> None:
    assert CallerNetworks(object()).of(scope_from(BANK)) is None
