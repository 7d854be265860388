"""The caller's address, behind the proxies that we trust. A caller cannot forge it."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from shared.config import Network

Address = IPv4Address | IPv6Address

MAX_HOPS = 20


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """The caller's address, or None when it cannot be determined.

    `peer` is the other end of the connection, `forwarded_for` the X-Forwarded-For headers in their order. Each proxy
    appends the address that called it. So they are read from the right, as long as the address before is trusted.
    """
    hops = [part.strip() for header in forwarded_for for part in header.split(",")]
    if len(hops) > MAX_HOPS:
        return None
    if peer in hops:
        # The server in front of us has already put a forwarded address in the connection's place (uvicorn does,
        # without --no-proxy-headers), trusting whom it likes. Who really called can no longer be told.
        return None
    address = _parse(peer or "")
    while address is not None and hops and is_in(address, trusted):
        address = _parse(hops.pop())
    return address


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Whether one of the networks holds the address."""
    return any(address in network for network in networks)


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address
