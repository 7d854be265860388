"""Run an ASGI application on a real port of this machine, so that a test speaks to it as anybody would."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

START_SECONDS = 20.0
STOP_SECONDS = 20.0


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket bound to a free port of the loopback, to know an address before anybody serves there."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound


@contextmanager
def serving(app: Any, bound: socket.socket | None = None) -> Iterator[str]:
    """Serve `app` in a thread of its own; gives the base URL. Lifespan runs; stops gracefully at the end."""
    if bound is None:
        with listening() as own, serving(app, own) as url:
            yield url
        return
    config = uvicorn.Config(app, log_config=None, proxy_headers=False, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the application did not start")
        time.sleep(0.01)
