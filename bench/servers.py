"""Serve a reference application as user_app is served: the same server, options and number of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from bench.stack import Bench
from infra.local import launch
from infra.local.layout import CHECKOUT
from infra.local.ports import is_free

START_SECONDS = 30.0
STOP_SECONDS = 15.0
_USER_APP = "services.user_app.main:create_app"


@dataclass(frozen=True)
class ReferenceServer:
    """Where it answers, and the pids of what was started."""

    url: str
    pids: list[int]


def command(bench: Bench, application: str, port: int) -> list[str]:
    """The command line of user_app with another application and port."""
    layout = bench.stack.layout
    swap = {_USER_APP: application, str(layout.port("user_app")): str(port)}
    return [swap.get(argument, argument) for argument in launch.command("user_app", layout)]


@contextmanager
def serving(
    bench: Bench, application: str, port: int, environment: Mapping[str, str] | None = None
) -> Iterator[ReferenceServer]:
    """Serve `module:factory` on a port of the bench; it has ended when the block has."""
    log = (bench.folder / "reference.log").open("ab")
    process = subprocess.Popen(
        command(bench, application, port),
        cwd=CHECKOUT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    try:
        _wait_until_serving(process, port)
        yield ReferenceServer(f"http://127.0.0.1:{port}", [process.pid])
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _wait_until_serving(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while is_free(port):
        if process.poll() is not None or time.monotonic() > until:
            sys.exit("a reference application did not start")
        time.sleep(0.05)
