"""Of all hashes that the machine works on, so many at most are for one network address, whatever process asks.

A place is the name of a Unix socket in the abstract namespace of Linux (unix(7)): one socket has it at a time, and it
is free as soon as the socket is closed, or its process killed. Other systems have as many places as are asked for.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import socket
import sys
from typing import Self

_HAS_ABSTRACT_NAMES = sys.platform == "linux"


class Place:
    """Taken until it is given back."""

    def __init__(self, held: socket.socket | None) -> None:
        self._held = held

    def give_back(self) -> None:
        """Let another hash of the address have it."""
        if self._held is not None:
            self._held.close()


class AddressPlaces:
    """`most` places for each address, shared by all processes of the machine that have the same `key`; those of a
    container share its own, as its network namespace has names of its own.

    The names show no address, and without the key no name can be taken beforehand.
    """

    def __init__(self, most: int, key: bytes) -> None:
        self._most = most
        self._key = key

    @classmethod
    def of_machine(cls, cores: int, key: bytes) -> Self:
        """Half of the cores, so that one address leaves the other half to all others."""
        return cls(max(1, cores // 2), key)

    def take(self, address: str) -> Place | None:
        """A place of this address, or None if all are taken."""
        if not _HAS_ABSTRACT_NAMES:
            return Place(None)
        name = hmac.new(self._key, address.encode(), hashlib.sha256).hexdigest()
        for number in range(self._most):
            held = None
            try:
                held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                held.bind(f"\0batua-hash-{name}-{number}")
            except OSError as error:
                if held is not None:
                    held.close()
                if error.errno != errno.EADDRINUSE:
                    return Place(None)  # without a socket, the process's own cores are the bound
            else:
                return Place(held)
        return None
