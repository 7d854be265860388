"""The caller's address, behind the proxies that we trust. A caller cannot forge it.

`BATUA_FORWARDED_HEADER` names the one header that is believed, and only of a peer that is a trusted proxy. Its
addresses are walked from the nearest: as long as one is a trusted proxy, the one before it counts. The walk ends at
the first address that is not trusted, and never goes past an element that tells no address: what stands before it may
be the caller's invention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from starlette.requests import Request
from starlette.types import Scope

from shared import callers
from shared.auth.networks import network_of
from shared.callers import Caller
from shared.config import ProxySettings
from shared.http.forwarded import Address, HeaderName, addresses, peer_address
from shared.production import Network

MAX_HOPS = 20
REMEMBERED_NETWORKS = 4096
REMEMBERED_BYTES = 100
"""The longest headers that are remembered."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request comes from."""

    nearest: Address | None
    """The last address that the walk could read. If that is not the caller's, it is the trusted proxy that did not tell
    whom it speaks for: all its callers are counted as one, so none of them escapes a limit by being hidden. None when
    the peer is no network address."""
    is_caller: bool

    @property
    def caller(self) -> Address | None:
        """The caller's address, if it is known: what a list of allowed networks is about. A proxy is no bank."""
        return self.nearest if self.is_caller else None


def source_of(request: Request, settings: ProxySettings) -> Source:
    """Where a request comes from, by the header that these settings name."""
    header = settings.forwarded_header
    lines = [] if header == "none" else request.headers.getlist(header)
    return walk(peer_of(request), header, lines, settings.trusted_proxies)


def network_of_request(scope: Scope) -> str | None:
    """The network that a request comes from, for the audit trail; None for a service that does not ask for it."""
    request, settings = Request(scope), scope["app"].state.settings
    if not isinstance(settings, ProxySettings):
        return None
    return network_of(str(source_of(request, settings).nearest or peer_of(request) or "unknown"))


class CallerNetworks:
    """The network of one caller, for each request of an application, which remembers some: to find one costs 10 µs."""

    def __init__(self, settings: object) -> None:
        self._settings = settings if isinstance(settings, ProxySettings) else None
        header = "none" if self._settings is None else self._settings.forwarded_header
        self._header = None if header == "none" else header.encode("ascii")
        self._remembered = lru_cache(REMEMBERED_NETWORKS)(self._find)

    def of(self, scope: Scope) -> str | None:
        """None if it is not known: a proxy that we trust speaks for many."""
        if self._settings is None:
            return None
        lines: tuple[bytes, ...] = ()
        if self._header is not None:
            lines = tuple(value for name, value in scope["headers"] if name == self._header)
        find = self._remembered if sum(map(len, lines)) <= REMEMBERED_BYTES else self._find
        return find(_peer_of(scope), lines)

    def _find(self, peer: str | None, lines: tuple[bytes, ...]) -> str | None:
        assert self._settings is not None
        trusted = self._settings.trusted_proxies
        texts = [line.decode("latin-1") for line in lines]
        caller = walk(peer, self._settings.forwarded_header, texts, trusted).caller
        return None if caller is None or is_in(caller, trusted) else network_of(str(caller))


def peer_of(request: Request) -> str | None:
    """The other end of the connection. Our own server says it, whatever wraps the application has made of the scope."""
    return _peer_of(request.scope)


def _peer_of(scope: Scope) -> str | None:
    caller: Caller | None = scope.get("extensions", {}).get(callers.EXTENSION)
    if caller is not None and caller.peer is not None:
        return caller.peer
    client = scope.get("client")
    return client[0] if client else None


def walk(peer: str | None, header: HeaderName, lines: Sequence[str], trusted: Sequence[Network]) -> Source:
    """Walk from the peer through at most MAX_HOPS trusted proxies. `lines` are those of the header, in their order."""
    nearest = peer_address(peer or "")
    if nearest is None or not is_in(nearest, trusted):
        return Source(nearest, is_caller=nearest is not None)
    hops = addresses(header, lines)
    for address in islice(hops, MAX_HOPS):
        if address is None:
            return Source(nearest, is_caller=False)
        nearest = address
        if not is_in(address, trusted):
            return Source(nearest, is_caller=True)
    # A trusted proxy has called by itself, unless there is more to read.
    return Source(nearest, is_caller=next(hops, nearest) is nearest)


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Whether one of the networks holds the address."""
    return any(address in network for network in networks)
