"""What one caller's network addresses have in common."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

IPV6_PREFIX = 64


def network_of(address: str) -> str:
    """An IPv4 address, or the /64 network of an IPv6 address: one caller usually has all of it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(IPv6Network((parsed, IPV6_PREFIX), strict=False)) if isinstance(parsed, IPv6Address) else address
