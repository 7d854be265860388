"""Serve the webhook: `python -m services.bank_webhook --host 127.0.0.1 --port 8003 --reuse-port`.

With `--reuse-port` several processes share one port, so one can be replaced while the others run.
On SIGTERM a process accepts no new connections, finishes its open requests and ends.
"""

from __future__ import annotations

import argparse
import signal
import socket
from types import FrameType

import uvicorn

from services.bank_webhook.main import create_app
from shared.http.server import BoundedProtocol

BACKLOG = 2048
DRAIN_SECONDS = 20
"""Longer than one delivery may take to be committed."""


def bind(host: str, port: int, *, reuse_port: bool) -> socket.socket:
    """A socket bound to the address; with `reuse_port` several of our processes may share the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((host, port))
    return bound


def main() -> None:
    """Read the command line and serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m services.bank_webhook", description="Serve the bank webhook.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8003)
    parser.add_argument("--reuse-port", action="store_true", help="share the port with other processes of ours")
    arguments = parser.parse_args()
    bound = bind(arguments.host, arguments.port, reuse_port=arguments.reuse_port)
    config = uvicorn.Config(
        create_app,
        factory=True,
        backlog=BACKLOG,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    # After the drain, uvicorn raises the signal again for the handler that was set before: here, a clean end.
    signal.signal(signal.SIGTERM, _end)
    uvicorn.Server(config).run(sockets=[bound])


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
