"""The addresses that proxies write into a header, from the right: each appends the address that called it.

Read from the right, because only the end is the work of the nearest proxies. What a caller wrote further left, such as
a quotation mark that never ends, cannot change how the end is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

Address = IPv4Address | IPv6Address
HeaderName = Literal["forwarded", "x-forwarded-for", "none"]

# `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]`, `[2001:db8::1]:4711`; a port may be hidden (RFC 7239, section 6).
_WITH_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Some proxies leave out the quotation marks that colons and brackets need.
_UNQUOTED = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z:\[\]-]+")
_BLANK = " \t"


def addresses(header: HeaderName, lines: Sequence[str]) -> Iterator[Address | None]:
    """The addresses in all lines of a header, the nearest first; None for an element that tells none.

    Such are `unknown`, a hidden name (`_proxy`), an empty element, and what breaks the header's grammar.
    """
    text = ",".join(lines)
    if not text.strip(_BLANK):
        return
    elements = _split_from_right(text, ",") if header == "forwarded" else reversed(text.split(","))
    for element in elements:
        node = _node_of(element) if header == "forwarded" else _unquoted(element.strip(_BLANK))
        yield None if node is None else address_of(node)


def address_of(node: str) -> Address | None:
    """The address of a node, with or without a port and brackets; None for one that is no address."""
    match = _WITH_PORT.fullmatch(node)
    try:
        if match is None:
            address: Address = IPv6Address(node)
        else:
            address = IPv4Address(match["v4"]) if match["v6"] is None else IPv6Address(match["v6"])
    except ValueError:
        return None
    return None if getattr(address, "scope_id", None) else plain(address)


def peer_address(host: str) -> Address | None:
    """The address of the other end of a connection; None for a path or a name."""
    try:
        return plain(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def plain(address: Address) -> Address:
    """One address has one spelling: an IPv4 address that is written as an IPv6 one is the IPv4 address."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _node_of(element: str) -> str | None:
    """What `for` names in an element of `Forwarded`; None if it does not, or if any of its pairs is malformed."""
    found: dict[str, str] = {}
    for pair in _split_from_right(element, ";"):
        stripped = pair.strip(_BLANK)
        if not stripped:
            continue
        name, _, value = stripped.partition("=")
        plain_value = _unquoted(value)
        if plain_value is None or not _TOKEN.fullmatch(name) or name.lower() in found:
            return None
        found[name.lower()] = plain_value
    return found.get("for")


def _unquoted(value: str) -> str | None:
    """A value without its quotation marks; None for one that is malformed."""
    if quoted := _QUOTED.fullmatch(value):
        return _ESCAPED.sub(r"\1", quoted[1])
    return value if _UNQUOTED.fullmatch(value) else None


def _split_from_right(text: str, separator: str) -> Iterator[str]:
    """The parts between separators that are not quoted, the last one first."""
    end, is_quoted = len(text), False
    for at in range(len(text) - 1, -1, -1):
        if text[at] == '"':
            is_quoted ^= not _is_escaped(text, at)
        elif text[at] == separator and not is_quoted:
            yield text[at + 1 : end]
            end = at
    yield text[:end]


def _is_escaped(text: str, at: int) -> bool:
    before = at
    while before and text[before - 1] == "\\":
        before -= 1
    return (at - before) % 2 == 1
