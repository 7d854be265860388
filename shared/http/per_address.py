"""The connections of each client address, so that one address cannot have all places of a server.

An IPv6 /64 counts as one address, because one client usually has a whole network. Many people may share an IPv4
address behind a carrier's translation, so the limit is far above what one of them needs. Trusted proxies speak for
everyone and have none.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Generic, TypeVar

from shared.http.client_address import is_in
from shared.http.forwarded import peer_address
from shared.production import Network

_IPV6_NETWORK = 8  # of its bytes: a /64

ConnectionT = TypeVar("ConnectionT", bound=Hashable)


@dataclass(frozen=True, slots=True)
class AddressLimit:
    """How many connections one address may have at one process, and which networks may have any number."""

    most: int
    exempt: Sequence[Network]


class PerAddress(Generic[ConnectionT]):
    """Those of one server, by address, the oldest first."""

    def __init__(self, limit: AddressLimit) -> None:
        self._limit = limit
        self._found: dict[bytes, dict[ConnectionT, None]] = {}

    def add(self, connection: ConnectionT, peer: str | None) -> bytes | None:
        """Count a connection. Answers the key of its address; None for one without a limit."""
        address = peer_address(peer or "")
        if address is None or is_in(address, self._limit.exempt):
            return None
        key = address.packed[:_IPV6_NETWORK] if isinstance(address, IPv6Address) else address.packed
        self._found.setdefault(key, {})[connection] = None
        return key

    def leave(self, connection: ConnectionT, key: bytes) -> None:
        """It is gone, or no longer counts."""
        of_address = self._found.get(key, {})
        of_address.pop(connection, None)
        if not of_address:
            self._found.pop(key, None)

    def is_full(self, key: bytes) -> bool:
        """Whether the address has more than it may."""
        return len(self._found[key]) > self._limit.most

    def of(self, key: bytes) -> Iterator[ConnectionT]:
        """The address's connections, the oldest first."""
        return iter(self._found.get(key, ()))
