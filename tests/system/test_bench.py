"""The smallest benches run, and the books are right afterwards. How fast it is, is not asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bench import pgbench, phases, scale
from bench.__main__ import HELLO, THIN
from bench.goals import rows
from bench.references.thin import DATABASE_URL
from bench.rounds import Rounds
from bench.servers import serving
from bench.stack import HELLO_PORT_OFFSET, REFERENCE, THIN_PORT_OFFSET, proven, running_bench
from tests.support.whole_stack import SLOW

PEOPLE, PAYMENTS = 200, 400
NEEDED = ("postgres", "redis", "user_app")


@pytest.mark.slow
def test_transfers_are_measured_beside_their_references_and_the_books_are_right(
    free_port_base: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATUA_PORT_BASE", f"{free_port_base()}")  # no other test's, whose stack may not listen yet
    said: list[str] = []
    with running_bench(said.append, people=PEOPLE, payments=PAYMENTS, settings=SLOW, processes=NEEDED) as bench:
        rounds, extra = Rounds(bench, seconds=1, say=said.append), phases.Extra()
        phases.prepare_references(rounds)
        settings = {DATABASE_URL: bench.stack.database_url(database=REFERENCE)}
        with (
            serving(bench, HELLO, bench.port(HELLO_PORT_OFFSET)) as hello,
            serving(bench, THIN, bench.port(THIN_PORT_OFFSET), settings) as thin,
        ):
            phases.single_transfers(rounds, thin=thin, hello=hello)
        in_a_second = f"{settings[DATABASE_URL]}?options=-c%20post_auth_delay%3D1"  # connects as on a busy machine
        late = pgbench.run(in_a_second, people=PEOPLE, to_shop=False, seconds=1, folder=bench.folder)
        phases.round_trips(rounds, extra)
        costs = asyncio.run(scale.measure(bench, 300))
        proof = asyncio.run(proven(bench.stack))
    assert proof.ok, proof.failed
    assert [name for name, found in rounds.found.items() if any(each.rejected for each in found.loads)] == []
    assert {name for name, found in rounds.found.items() if found.per_second} == {
        "transfers spread",
        "transfers to one shop",
        "pgbench spread",
        "pgbench spread, simple",
        "pgbench to one account",
        "thin transfers",
        "hello",
    }
    assert late.transactions > 0
    assert extra.statements.all_calls > 0
    assert [row.work for row in rows(rounds, extra)][:3] == ["POST /transfers, spread", "spread", "to one shop"]
    assert [cost.size for cost in costs] == list(scale.SIZES)
    assert all(0 < cost.record_bytes < cost.log_bytes / cost.transfers for cost in costs)
    assert all(sum(cost.grown["entries"]) > 0 for cost in costs if cost.transfers >= 300)
