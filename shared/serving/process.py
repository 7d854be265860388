"""One process that serves requests. Alone, or as one of several that share a port: then a supervisor starts it.

On SIGTERM, and when its supervisor dies, the application says that it stops, for BATUA_SHUTDOWN_DELAY_SECONDS. Then the
process accepts no new connections, finishes its open requests and ends.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from prometheus_client import values
from prometheus_client.multiprocess import mark_process_dead

from shared.runtime import recent_callers
from shared.serving.address import Service, add_service, bind, read_service

BACKLOG = 2048
CONCURRENCY = 2000
"""More than the 1000 event streams that a process holds at most: each counts as a request while it lasts."""
KEEP_ALIVE_SECONDS = 5
FILES_BESIDE_CONNECTIONS = 200
"""Of a process: connections to Postgres and Redis, sockets, logs, files that are being sent."""
OBJECTS_BEFORE_COLLECTION = 10_000
"""So many more objects made than freed start a collection of the youngest. Python's own value is 700."""
PROTOCOL = "shared.http.server:BoundedProtocol"
"""By its name, because this room does not know that one."""

_logger = logging.getLogger("batua.process")  # the name of the module is __main__


def serve(service: Service, bound: socket.socket) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT, then exit with 0.

    `BATUA_TRUSTED_PROXIES` says which proxies are trusted, so the server itself reads no forwarded address.
    """
    config = uvicorn.Config(
        service.application,
        factory=True,
        backlog=BACKLOG,
        limit_concurrency=_room_for_connections(),
        loop="uvloop",
        http=PROTOCOL,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        timeout_graceful_shutdown=service.graceful_seconds,
    )
    _on_stop(_end_at_once)
    gc.disable()  # what is imported stays: to look for garbage in it took a fifth of the start's CPU
    config.load()  # before the server takes over: a stop that comes while the application is imported is prompt
    _spare_the_collector()
    # After the drain, uvicorn raises the signal again for the handler that was set before: here, a clean end.
    _on_stop(_end)
    uvicorn.Server(config).run(sockets=[bound])


def _room_for_connections() -> int:
    """How many connections may have a place: CONCURRENCY, or as many as the limit of open files lets us serve.

    As many again may wait to be told that they have none. The soft limit is raised as far as it needs to be and may be:
    at the limit the kernel hangs up on all callers alike.
    """
    needed = 2 * CONCURRENCY + FILES_BESIDE_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _raised(soft, hard, needed)
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return CONCURRENCY
    room = max(1, (limit - FILES_BESIDE_CONNECTIONS) // 2)
    _logger.warning("%d open files are allowed, %d would be needed: %d connections are served", limit, needed, room)
    return room


def _raised(soft: int, hard: int, needed: int) -> int:
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return soft
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # some systems have a lower limit than they say
        return soft
    return wanted


def _spare_the_collector() -> None:
    """Leave what is loaded out of every later garbage collection: it stays, and looking through it again and again took
    a quarter of a request's CPU. Requests leave few cycles behind, so the collector also waits for more of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    gc.enable()


def _on_stop(handle: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    """Nothing is served yet. An exception would be lost if the signal came in a finalizer, as they run in an import."""
    os._exit(0)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    """Serve as one of several processes, in the slot that the supervisor names."""
    parser = argparse.ArgumentParser(prog="python -m shared.serving.process")
    add_service(parser)
    parser.add_argument("--slot", required=True, type=int)
    parser.add_argument("--supervisor-pipe", required=True, type=int)
    parser.add_argument("--recent-callers", type=int)
    arguments = parser.parse_args()
    service = read_service(arguments)
    watch = threading.Thread(target=_end_with, args=(arguments.supervisor_pipe, service.stop_seconds), daemon=True)
    watch.start()
    _count_in(arguments.slot)
    if arguments.recent_callers is not None:
        recent_callers.share_memory(arguments.recent_callers, arguments.slot - 1)
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
