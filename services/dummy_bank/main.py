"""The bank simulator: `uvicorn services.dummy_bank.main:create_app --factory`."""

from __future__ import annotations

import shared.lean_start.simulator  # noqa: F401 - before anything else loads the libraries

# isort: split
import asyncio
import gc
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from services.dummy_bank import problems
from services.dummy_bank.api import health, operations, records
from services.dummy_bank.middleware import Guard
from services.dummy_bank.pages import console, netbanking
from services.dummy_bank.settings import BankSimulatorSettings
from services.dummy_bank.simulator import Simulator
from services.dummy_bank.vocabulary import DESCRIPTION, VOCABULARY
from shared.api_reference.describe import describe, operation_id, publish
from shared.api_reference.mount import mount_api_reference
from shared.version import VERSION


def create_app(settings: BankSimulatorSettings | None = None) -> FastAPI:
    """Build the app; without `settings` they are read from `DUMMY_BANK_*`."""
    chosen = settings or BankSimulatorSettings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        simulator = Simulator(chosen)
        app.state.simulator = simulator
        background = asyncio.create_task(simulator.run())
        with _draining_on_signals(simulator.draining):
            yield
        simulator.draining.set()
        background.cancel()
        with suppress(asyncio.CancelledError):
            await background
        await simulator.close()

    app = FastAPI(
        title="Dummy bank",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    problems.install(app)
    for router in (health.router, operations.router, records.router, netbanking.router, console.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    publish(app, description=DESCRIPTION, complete=partial(describe, vocabulary=VOCABULARY))
    mount_api_reference(app)
    app.add_middleware(Guard)
    return app


@contextmanager
def _draining_on_signals(draining: asyncio.Event) -> Iterator[None]:
    """Set `draining` as soon as the process is told to stop, before the server waits for open requests.

    Otherwise a call that a fault keeps waiting would delay the stop. The server's own handler still runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(draining.set)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


gc.enable()  # all is imported; shared.lean_start.simulator turned it off
