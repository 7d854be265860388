"""What all processes may open together fits into what Postgres allows."""

from __future__ import annotations

import ast

from infra.local.layout import CHECKOUT, PROCESSES
from infra.local.postgres import MAX_CONNECTIONS
from shared.config import DatabaseSettings
from shared.ledger.group_commit import LANES
from shared.runtime.database import DIRECT_POOL_SIZE
from shared.serving.cores import MOST_BY_DEFAULT

OF_THE_WORKER = CHECKOUT / "shared/withdrawals/freezes.py"
"""No other Gather works in that process, so one of its direct connections is always free."""
OF_THE_REPLICA = CHECKOUT / "shared/db/replica.py"
"""It asks the replica, which has pools of its own."""
RESERVED = 3
"""`superuser_reserved_connections` of Postgres."""
COMMANDS = 15
"""For migrations, `batua prove`, a restarted process whose predecessor still drains, and a person with psql."""


def test_the_pools_of_all_processes_fit_into_what_postgres_allows() -> None:
    pool = DatabaseSettings.model_fields["database_pool_size"].default + DIRECT_POOL_SIZE
    services = [process for process in PROCESSES.values() if process.shares_port]
    worker, scheduler = pool, 1
    assert len(services) * MOST_BY_DEFAULT * pool + worker + scheduler + COMMANDS + RESERVED <= MAX_CONNECTIONS


def test_everything_that_keeps_a_direct_connection_while_it_works_has_one() -> None:
    """Under a constant load none of them returns its connection, so one too few would wait for ever."""
    calls = [
        node
        for room in ("shared", "services")
        for file in (CHECKOUT / room).rglob("*.py")
        if file not in (OF_THE_WORKER, OF_THE_REPLICA)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Gather"
    ]
    bulk = 1
    assert calls
    assert len(calls) + LANES + bulk <= DIRECT_POOL_SIZE
