"""What is served, where, and how it stops; as a value and as the arguments of a command line."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

GRACEFUL_SECONDS = 10
CLOSE_SECONDS = 15
"""After the last request: for transfers that still wait for their batch, and for closing connections."""


@dataclass(frozen=True, slots=True)
class Service:
    """An application at an address. Told to stop, it serves on for `delay_seconds`; then requests under way may take
    `graceful_seconds` more."""

    application: str
    """`package.module:factory`."""
    host: str
    port: int
    graceful_seconds: int
    delay_seconds: float

    @property
    def stop_seconds(self) -> float:
        """The longest an orderly stop takes."""
        return self.delay_seconds + self.graceful_seconds + CLOSE_SECONDS

    def arguments(self) -> list[str]:
        """The command line that `read_service` reads."""
        address = ["--host", self.host, "--port", str(self.port)]
        seconds = ["--graceful-seconds", str(self.graceful_seconds), "--delay-seconds", str(self.delay_seconds)]
        return [self.application, *address, *seconds]


def add_service(parser: argparse.ArgumentParser) -> None:
    """Let the parser read a Service."""
    parser.add_argument("application")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--graceful-seconds", required=True, type=int)
    parser.add_argument("--delay-seconds", required=True, type=float)


def read_service(arguments: argparse.Namespace) -> Service:
    """The Service that a command line names."""
    return Service(
        arguments.application, arguments.host, arguments.port, arguments.graceful_seconds, arguments.delay_seconds
    )


def bind(host: str, port: int) -> socket.socket:
    """A socket that shares the address with the other sockets of one service. Raises OSError.

    The kernel spreads new connections over those of them that listen.
    """
    return _bound(host, port, (socket.SO_REUSEADDR, socket.SO_REUSEPORT))


def claim(service: Service, *, reuse_port: bool) -> socket.socket:
    """Take the service's address and keep it while this socket, which never listens, is open.

    With `reuse_port` another instance of the service may have the address already. Exits with 1 when another program
    has it.
    """
    host, port = service.host, service.port
    try:
        if not reuse_port:
            _bound(host, port, (socket.SO_REUSEADDR,)).close()
        try:
            # Without SO_REUSEADDR, because two sockets that have it may share a port until one of them listens.
            return _bound(host, port, (socket.SO_REUSEPORT,))
        except OSError:  # closed connections of another program linger on the port
            return bind(host, port)
    except OSError as error:
        sys.exit(f"{service.application} cannot listen on {host}:{port}: {error.strerror}")


def _bound(host: str, port: int, options: Sequence[int]) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        for option in options:
            bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
