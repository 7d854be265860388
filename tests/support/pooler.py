"""A pooler in front of the tests' Postgres. Where PgBouncer is not installed, what needs it is skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from infra.local.pooler import installed, pooler
from infra.postgres.roles import SERVICE_ROLES
from tests.support.deadlines import deadline
from tests.support.service_roles import PASSWORD

CONNECTIONS = 60
"""Enough for a test that holds a lock while all connections of its engines wait for it."""

needs_pgbouncer = pytest.mark.skipif(
    installed() is None and not os.environ.get("CI"),
    reason="PgBouncer is not installed (Debian: apt install pgbouncer)",
)


@contextmanager
def pooler_before(server_url: str, home: Path, port: int, *, connections: int = CONNECTIONS) -> Iterator[None]:
    """A pooler on this port, for the superuser of this URL and the services' roles."""
    server = make_url(server_url)
    assert server.username is not None
    assert server.port is not None
    passwords = {**dict.fromkeys(SERVICE_ROLES, PASSWORD), server.username: str(server.password)}
    with pooler(
        home,
        port=port,
        server_port=server.port,
        passwords=passwords,
        connections=connections,
        queue_seconds=deadline(30),
    ):
        yield


def through(url: str, port: int) -> str:
    """The same URL by way of the pooler on this port."""
    return make_url(url).set(port=port).render_as_string(hide_password=False)
