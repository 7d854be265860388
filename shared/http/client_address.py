"""The caller's address, behind the proxies that we trust. A caller cannot forge it.

`BATUA_FORWARDED_HEADER` names the one header that is believed, and only of a peer that is a trusted proxy. Its
addresses are walked from the nearest: as long as one is a trusted proxy, the one before it counts. The walk ends at
the first address that is not trusted, and never goes past an element that tells no address: what stands before it may
be the caller's invention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


def network_of_caller(scope: Scope) -> str | None:
    """The network of one caller. None if it is not known: a proxy that we trust speaks for many."""
    settings = scope["app"].state.settings
    if not isinstance(settings, ProxySettings):
        return None
    caller = source_of(Request(scope), settings).caller
    return None if caller is None or is_in(caller, settings.trusted_proxies) else network_of(str(caller))


def peer_of(request: Request) -> str | None:
    """The other end of the connection. Our own server says it, whatever wraps the application has made of the scope."""
    caller: Caller | None = request.scope.get("extensions", {}).get(callers.EXTENSION)
    if caller is not None and caller.peer is not None:
        return caller.peer
    return request.client.host if request.client is not None else None


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
