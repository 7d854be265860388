"""Run an ASGI application on a real port of this machine, so that a test calls it over HTTP."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from shared.http.server import BoundedProtocol
from tests.support.deadlines import deadline
from tests.support.waiting import eventually


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket bound to a free port of the loopback, to know an address before it is served."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound


@contextmanager
def serving(app: Any, bound: socket.socket | None = None, *, limit_concurrency: int | None = None) -> Iterator[str]:
    """Serve `app` in a thread of its own; gives the base URL. Lifespan runs; stops gracefully at the end."""
    if bound is None:
        with listening() as own, serving(app, own, limit_concurrency=limit_concurrency) as url:
            yield url
        return
    config = uvicorn.Config(
        app,
        log_config=None,
        proxy_headers=False,
        http=BoundedProtocol,
        ws="none",
        timeout_keep_alive=60,  # a busy machine must not close what a test keeps open
        timeout_graceful_shutdown=5,
        limit_concurrency=limit_concurrency,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(deadline())
        if thread.is_alive():
            raise RuntimeError("the application did not stop")


@asynccontextmanager
async def serving_beside(app: Any, bound: socket.socket | None = None) -> AsyncIterator[str]:
    """Like `serving`, for an application that needs this loop to go on while it starts and stops."""
    context = serving(app, bound)
    url = await asyncio.to_thread(context.__enter__)
    try:
        yield url
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    def has_started() -> bool:
        if not thread.is_alive():
            raise RuntimeError("the application did not start")
        return server.started

    eventually(has_started, "the application starts")
