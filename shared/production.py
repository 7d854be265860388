"""What production refuses, each as a sentence that names the setting and says what to do instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from shared.addresses import Address

Network = IPv4Network | IPv6Network

MIN_SECRET_LENGTH = 16
MIN_DIFFERENT_CHARACTERS = 6
MIN_BCRYPT_ROUNDS = 12
MAX_PIN_ATTEMPTS = 10
MAX_SIGN_INS_PER_MINUTE = 100
WIDEST = {4: 8, 6: 7}
"""Prefix lengths: 10.0.0.0/8 and fc00::/7 are the widest networks that one operator can have."""
_KNOWN_WORDS = ("changeme", "change-me", "password", "example", "insecure", "secret")
_RATE = re.compile(r"(\d+)\s*(?:/|per)\s*(\d*)\s*(second|minute|hour|day|month|year)s?", re.IGNORECASE)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "month": 30 * 86_400, "year": 365 * 86_400}


@dataclass(frozen=True, slots=True)
class Private:
    """Networks in which what is sent may be sent in plain text, and names of hosts in them."""

    networks: Sequence[Network] = ()
    hosts: Sequence[str] = ()

    def includes(self, host: str) -> bool:
        """Whether this host is reached by a Unix socket, by loopback or within a network that is named as private.

        A name is not looked up: its address may be another one later, and the service must start without a resolver.
        """
        if host.startswith("/") or host == "localhost":
            return True
        try:
            number = ip_address(host)
        except ValueError:
            return any(_is_named(host.lower(), name.lower()) for name in self.hosts)
        return number.is_loopback or any(number in network for network in self.networks)


def _is_named(host: str, name: str) -> bool:
    return host.endswith(name) if name.startswith(".") else host == name


def is_weak(secret: str) -> bool:
    """Whether a secret is short, is made of few characters or contains a well-known word."""
    lowered = secret.lower()
    short = len(secret) < MIN_SECRET_LENGTH or len(set(lowered)) < MIN_DIFFERENT_CHARACTERS
    return short or any(word in lowered for word in _KNOWN_WORDS)


def weak_secrets(secrets: Iterable[tuple[str, str]]) -> Iterator[str]:
    """One sentence for each variable that holds a weak secret."""
    for variable in sorted({variable for variable, secret in secrets if is_weak(secret)}):
        yield f"{variable} is weak: use {MIN_SECRET_LENGTH} or more random characters"


def weak_password(variable: str, address: Address) -> Iterator[str]:
    """A server whose password is missing or weak. By a Unix socket, the system can tell who connects."""
    is_socket = all(host.startswith("/") for host in address.hosts)
    if is_weak(address.password) and (address.password or not is_socket):
        yield f"{variable} has no password, or a weak one: use {MIN_SECRET_LENGTH} or more random characters"


def plain_text(variable: str, address: Address, private: Private, remedy: str) -> Iterator[str]:
    """A server that is reached without TLS, though neither by loopback nor within a private network."""
    exposed = [host for host in address.hosts if not private.includes(host)]
    if exposed and not address.is_encrypted:
        yield (
            f"{variable} reaches {', '.join(exposed)} without TLS: {remedy}, or name its network in "
            "BATUA_PRIVATE_NETWORKS (a host name in BATUA_PRIVATE_HOSTS) if no one else can listen there"
        )


def wide_networks(variable: str, networks: Iterable[Network]) -> Iterator[str]:
    """Networks that are no one's own, such as 0.0.0.0/0."""
    wide = [str(network) for network in networks if network.prefixlen < WIDEST[network.version]]
    if wide:
        yield f"{variable} holds {', '.join(wide)}, which is far more than one network: name the networks that you mean"


def plain_http(variable: str, url: str | None) -> Iterator[str]:
    """An address that begins with anything but https."""
    if url and not url.lower().startswith("https://"):
        yield f"{variable} is not encrypted: use an address that begins with https://"


def fast_sign_ins(variable: str, rate: str) -> Iterator[str]:
    """More attempts to sign in than MAX_SIGN_INS_PER_MINUTE from one address, or a rate that cannot be read."""
    read = _RATE.fullmatch(rate.strip())
    if read is None:
        yield f"{variable} is no rate: write it as 100/15minutes"
    elif int(read[1]) * 60 > MAX_SIGN_INS_PER_MINUTE * int(read[2] or 1) * _SECONDS[read[3].lower()]:
        yield f"{variable} lets one address try more than {MAX_SIGN_INS_PER_MINUTE} passwords in a minute: set it lower"
