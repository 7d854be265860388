"""What the address of a database, a Redis or a broker says: where servers are, and how the way there is encrypted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_ALWAYS_ENCRYPTED = _MODES[3:]
_VERIFYING = _MODES[4:]
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_REDIS = ("redis", "rediss", "unix", "sentinel", "sentinels")
_ENCRYPTED = ("rediss", "sentinels", "amqps")
_REDIS_PORT = 6379
_PORTS = {"sentinel": 26379, "sentinels": 26379, "amqp": 5672, "amqps": 5671}
_OWN_ROOT = ".postgresql/root.crt"
"""Below the home directory: what libpq verifies by when no file is named."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: `hosts` are names and numbers, and paths of Unix sockets."""

    hosts: tuple[str, ...]
    password: str
    is_encrypted: bool
    """Always by TLS: `sslmode=prefer`, which is the default, falls back to plain text."""


def database_address(url: str) -> Address:
    """What a `postgresql://` URL says; without a host, the server is on this machine."""
    place, words = _parts(url)
    user, _, hosts = place.rpartition("@")
    named = unquote(hosts) or words.get("host") or "localhost"
    return Address(
        hosts=tuple(_host(part) for part in named.split(",")),
        password=unquote(user.partition(":")[2]) or words.get("password", ""),
        is_encrypted=words.get("sslmode") in _ALWAYS_ENCRYPTED,
    )


def each_host(url: str) -> list[str]:
    """A `postgresql://` URL once for each of its hosts, which it names as libpq reads them: `host:port,host:port`, or
    `?host=host,host&port=port,port`. One port stands for all hosts.
    """
    split = urlsplit(url)
    user, at, hosts = split.netloc.rpartition("@")
    if hosts:
        return [urlunsplit(split._replace(netloc=f"{user}{at}{host}")) for host in hosts.split(",")]
    words = dict(parse_qsl(split.query))
    if "," not in words.get("host", ""):
        return [url]
    pairs = zip(words["host"].split(","), cycle(words.pop("port", "").split(",")), strict=False)
    places = [{"host": host, **({"port": port} if port else {})} for host, port in pairs]
    return [f"{url.partition('?')[0]}?{urlencode({**words, **place}, safe='/')}" for place in places]


def database_word(url: str, name: str) -> str | None:
    """A word of a `postgresql://` URL, such as `sslmode`."""
    return _parts(url)[1].get(name)


@dataclass(frozen=True, slots=True)
class Servers:
    """What a URL says that may name several: `scheme://user:password@host:port,host:port/place?word=value`."""

    scheme: str
    named: tuple[tuple[str, int], ...]
    user: str | None
    password: str | None
    place: str
    """A number of a database, or a virtual host."""
    words: Mapping[str, str]

    @property
    def is_encrypted(self) -> bool:
        """Whether the way to all of them is TLS."""
        return self.scheme in _ENCRYPTED

    @property
    def is_sentinel(self) -> bool:
        """Whether they are Sentinels, who say which Redis is the master of the group that `?master=` names."""
        return self.scheme in ("sentinel", "sentinels")

    @property
    def is_amqp(self) -> bool:
        """Whether it is a RabbitMQ."""
        return self.scheme in ("amqp", "amqps")


def read_servers(url: str) -> Servers:
    """What a `redis:`, `sentinel:` or `amqp:` URL says, each also with an `s` for TLS. A port may be left out."""
    split = urlsplit(url)
    user, _, hosts = split.netloc.rpartition("@")
    name, _, password = user.partition(":")
    words = dict(parse_qsl(split.query))
    port = _PORTS.get(split.scheme, _REDIS_PORT)
    return Servers(
        scheme=split.scheme,
        named=tuple((_host(each), _port(each, port)) for each in (hosts or "localhost").split(",")),
        user=unquote(name) or None,
        password=unquote(password) or words.get("password"),
        place=unquote(split.path.removeprefix("/")),
        words=words,
    )


def redis_address(url: str) -> Address:
    """What production must know of a Redis, its Sentinels or a RabbitMQ."""
    servers = read_servers(url)
    hosts = (urlsplit(url).path,) if servers.scheme == "unix" else tuple(host for host, _ in servers.named)
    return Address(hosts, servers.password or "", is_encrypted=servers.is_encrypted)


def redis_problems(url: str) -> Iterator[str]:
    """What keeps a URL from ever leading to a Redis."""
    servers = read_servers(url)
    if servers.scheme not in _REDIS:
        yield f"it begins with one of {', '.join(f'{scheme}://' for scheme in _REDIS)}"
    if servers.is_sentinel and "master" not in servers.words:
        yield "Sentinels are asked for a group of servers by its name: add ?master=<name>"
    if not servers.is_sentinel and len(servers.named) > 1:
        yield "it names several servers, which only sentinel:// can do"


def broker_problems(url: str) -> Iterator[str]:
    """What keeps a URL from ever leading to a broker."""
    servers = read_servers(url)
    if not servers.is_amqp:
        yield from redis_problems(url)
    elif len(servers.named) > 1:
        yield "it names several servers: give the one address of the cluster"


def tls_problems(url: str) -> Iterator[str]:
    """What keeps a `postgresql://` URL from ever leading to a connection: said at the start, not at each attempt."""
    _, words = _parts(url)
    mode = words.get("sslmode")
    if "ssl" in words:
        yield f"`ssl=` is no word of a database URL: use `sslmode=`, one of {', '.join(_MODES)}"
    if mode is not None and mode not in _MODES:
        yield f"`sslmode=` is one of {', '.join(_MODES)}"
    for word in _FILES:
        if word in words and not Path(words[word]).is_file():
            yield f"`{word}=` names no file that can be read: {words[word]}"
    own_root = Path(os.path.expanduser("~")) / _OWN_ROOT
    if mode in _VERIFYING and "sslrootcert" not in words and not own_root.is_file():
        yield f"`sslmode={mode}` needs `sslrootcert=`, the file with the certificates of those who signed the server's"


def _parts(url: str) -> tuple[str, dict[str, str]]:
    split = urlsplit(url)
    return split.netloc, dict(parse_qsl(split.query))


def _host(part: str) -> str:
    """Without its port."""
    if part.startswith("["):
        return part[1:].partition("]")[0]
    return part if part.startswith("/") or part.count(":") > 1 else part.partition(":")[0]


def _port(part: str, default: int) -> int:
    """The one that stands behind a host, or this one."""
    text = part.rpartition("]")[2].rpartition(":")[2] if part.startswith("[") or part.count(":") == 1 else ""
    return int(text) if text.isdecimal() else default
