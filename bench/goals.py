"""The rows of the table: what was measured, against its reference of the same run, and the goal."""

from __future__ import annotations

from bench.figures import Quantity, Row, at_least, at_most, median
from bench.phases import Extra
from bench.rounds import Rounds

MAX_MEMORY_MIB = 200
MAX_GROWTH_MIB_PER_MINUTE = 1.0
"""A process that grows by less counts as flat."""


def rows(rounds: Rounds, extra: Extra) -> list[Row]:
    """Every row for which something was measured."""
    return [*_transfers(rounds, extra), *_other_work(rounds), *_waiting(extra), *_memory(extra)]


def _transfers(rounds: Rounds, extra: Extra) -> list[Row]:
    spread, shop = rounds.found["transfers spread"], rounds.found["transfers to one shop"]
    thin, hello = rounds.found["thin transfers"], rounds.found["hello"]
    found = [
        Row("POST /transfers, spread", _rate(spread.per_second), _pgbench(rounds, "pgbench spread"), at_least(0.9)),
        Row("to one shop", _rate(shop.per_second), _pgbench(rounds, "pgbench to one account"), at_least(3)),
        Row("spread", _rate(spread.per_second), _rate(thin.per_second, "thin FastAPI"), at_least(1)),
        Row(
            "CPU in user_app per transfer",
            Quantity(spread.cpu_ms("user_app"), "ms"),
            Quantity(hello.cpu_ms("reference"), "ms", "a hello-world request"),
            at_most(3),
        ),
    ]
    if extra.counted_transfers:
        trips = extra.statements.all_calls / extra.counted_transfers
        found.append(Row("round trips to Postgres per transfer", Quantity(trips, ""), None, at_most(0.5)))
    return found


def _other_work(rounds: Rounds) -> list[Row]:
    hello = _rate(rounds.found["hello"].per_second, "hello-world FastAPI")
    spread, hot = _pgbench(rounds, "pgbench spread"), _pgbench(rounds, "pgbench to one account")
    goals = (
        ("bulk spread", "bulk of 1,000, spread", spread, at_least(5)),
        ("bulk to one shop", "bulk of 1,000, to one shop", hot, at_least(15)),
        ("GET /wallet", "GET /wallet", hello, at_least(0.5)),
        ("GET /transactions?limit=20", "GET /transactions?limit=20", hello, at_least(0.3)),
        ("home page", "home page", hello, at_least(0.15)),
        ("webhooks settled", "webhooks settled", spread, at_least(0.5)),
    )
    return [
        Row(work, _rate(rounds.found[name].per_second), reference, goal)
        for name, work, reference, goal in goals
        if name in rounds.found
    ]


def _waiting(extra: Extra) -> list[Row]:
    found = []
    if extra.half_peak_p99_ms:
        idle = Quantity(extra.idle_ms, "ms", "median, idle")
        found.append(Row("p99 at half the peak", Quantity(extra.half_peak_p99_ms, "ms"), idle, at_most(8)))
    if extra.backlog_seconds:
        found.append(Row("CPU of mail and worker, of the stack's", Quantity(extra.mail_share, ""), None, at_most(0.1)))
        found.append(Row("until the mail is sent", Quantity(extra.backlog_seconds, "s"), None, at_most(60)))
    return found


def _memory(extra: Extra) -> list[Row]:
    largest, slopes = extra.memory.largest(), extra.memory.slopes()
    if not largest:
        return []
    name = max(largest, key=lambda each: largest[each])
    growing = max(slopes, key=lambda each: slopes[each])
    return [
        Row(f"memory, largest process ({name})", Quantity(largest[name], "MiB"), None, at_most(MAX_MEMORY_MIB)),
        Row(
            f"growth, fastest process ({growing})",
            Quantity(slopes[growing], "MiB/min"),
            None,
            at_most(MAX_GROWTH_MIB_PER_MINUTE),
        ),
    ]


def _rate(per_second: float, of: str = "") -> Quantity:
    return Quantity(per_second, "/s", of)


def _pgbench(rounds: Rounds, name: str) -> Quantity:
    return _rate(median(rounds.pgbench.get(name, [])), name)
