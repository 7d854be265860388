"""The command line of an HTTP service: `python -m services.user_app --host 127.0.0.1 --port 8001`.

With one process it serves in this one. With more, this one becomes their supervisor: it starts another program in its
place, because a process that only waits need not keep the libraries in memory that read the settings.
"""

from __future__ import annotations

import argparse
import os
import sys

from shared.config import read_settings
from shared.runtime.serving_settings import ServingSettings
from shared.serving.address import GRACEFUL_SECONDS, Service, bind, claim
from shared.serving.cores import default_processes
from shared.serving.process import serve

SUPERVISOR = "shared.serving.supervisor"


def main(name: str, *, port: int, graceful_seconds: int = GRACEFUL_SECONDS) -> None:
    """Serve `services.<name>` until SIGTERM or SIGINT. Exits with 1 when the port is taken."""
    arguments = _parser(name, port).parse_args()
    settings = read_settings(ServingSettings)
    count = arguments.processes or settings.processes or default_processes()
    application, delay_seconds = f"services.{name}.main:create_app", settings.shutdown_delay
    service = Service(application, arguments.host, arguments.port, graceful_seconds, delay_seconds)
    if count == 1:
        with claim(service, reuse_port=arguments.reuse_port) as claimed:
            serve(service, bind(service.host, claimed.getsockname()[1]))
    more = ["--processes", str(count), "--log-level", settings.log_level]
    if arguments.reuse_port:
        more.append("--reuse-port")
    if arguments.metrics_directory:
        more += ["--metrics-directory", arguments.metrics_directory]
    command = [sys.executable, "-m", SUPERVISOR, *service.arguments(), *more]
    os.execv(command[0], command)  # noqa: S606 - our own command line, no shell


def _parser(name: str, port: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}", description=f"Serve {name}.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--processes", type=int, choices=range(1, 65), metavar="N", help="instead of BATUA_PROCESSES")
    parser.add_argument("--reuse-port", action="store_true", help="share the port with another instance of the service")
    parser.add_argument("--metrics-directory", help="where the processes count together; a temporary one by default")
    return parser
