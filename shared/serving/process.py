"""One process that serves requests. Alone, or as one of several that share a port: then a supervisor starts it.

On SIGTERM it accepts no new connections, finishes its open requests and ends. It does the same when its supervisor
dies.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import socket
import threading
import time
from types import FrameType

import uvicorn
from prometheus_client import values
from prometheus_client.multiprocess import mark_process_dead

from shared.serving.address import Service, add_service, bind, read_service

BACKLOG = 2048
CONCURRENCY = 2000
"""More than the 1000 event streams that a process holds at most: each counts as a request while it lasts."""
OBJECTS_BEFORE_COLLECTION = 10_000
"""So many more objects made than freed start a collection of the youngest. Python's own value is 700."""
PROTOCOL = "shared.http.server:BoundedProtocol"
"""By its name, because this room does not know that one."""


def serve(service: Service, bound: socket.socket) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT, then exit with 0.

    `BATUA_TRUSTED_PROXIES` says which proxies are trusted, so the server itself reads no forwarded address.
    """
    config = uvicorn.Config(
        service.application,
        factory=True,
        backlog=BACKLOG,
        limit_concurrency=CONCURRENCY,
        loop="uvloop",
        http=PROTOCOL,
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        timeout_graceful_shutdown=service.graceful_seconds,
    )
    # After the drain, uvicorn raises the signal again for the handler that was set before: here, a clean end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    config.load()  # before the server takes over: a stop that comes while the application is imported is prompt
    _spare_the_collector()
    uvicorn.Server(config).run(sockets=[bound])


def _spare_the_collector() -> None:
    """Leave what is loaded out of every later garbage collection: it stays, and looking through it again and again took
    a quarter of a request's CPU. Requests leave few cycles behind, so the collector also waits for more of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    """Serve as one of several processes, in the slot that the supervisor names."""
    parser = argparse.ArgumentParser(prog="python -m shared.serving.process")
    add_service(parser)
    parser.add_argument("--slot", required=True, type=int)
    parser.add_argument("--supervisor-pipe", required=True, type=int)
    arguments = parser.parse_args()
    service = read_service(arguments)
    watch = threading.Thread(target=_end_with, args=(arguments.supervisor_pipe, service.stop_seconds), daemon=True)
    watch.start()
    _count_in(arguments.slot)
    serve(service, bind(service.host, service.port))


def _end_with(pipe: int, seconds: float) -> None:
    """Stop in order when the supervisor, which holds the other end, is gone; after so many seconds, at once."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(seconds)
    os._exit(1)


def _count_in(slot: int) -> None:
    """Let every metric count in the files of this slot, so that a process goes on where the last one in it ended.

    Files named by pid, which is what the library does by itself, would become more with every restart.
    """
    mark_process_dead(slot)  # type: ignore[no-untyped-call]
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
