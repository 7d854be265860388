"""The rows of the table: what was measured, against its reference of the same run, and the goal."""

from __future__ import annotations

from bench.figures import Goal, Quantity, Row, at_least, at_most
from bench.phases import Extra
from bench.rounds import Rounds

SLOTS = 64
"""Payouts of one bank that a worker has under way at once."""
MAX_MEMORY_MIB = 200
MAX_GROWTH_MIB_PER_MINUTE = 1.0
"""A process that grows by less counts as flat."""


def rows(rounds: Rounds, extra: Extra) -> list[Row]:
    """Every row for which something was measured."""
    return [*_transfers(rounds, extra), *_other_work(rounds), *_waiting(extra), *_memory(extra)]


def _transfers(rounds: Rounds, extra: Extra) -> list[Row]:
    spread, hello = rounds.found["transfers spread"], rounds.found["hello"]
    found = [
        _rates(rounds, "POST /transfers, spread", "transfers spread", "pgbench spread", at_least(0.9)),
        _rates(rounds, "spread", "transfers spread", "pgbench spread, simple", at_least(0.9)),
        _rates(rounds, "to one shop", "transfers to one shop", "pgbench to one account", at_least(3)),
        _rates(rounds, "spread", "transfers spread", "thin transfers", at_least(1)),
        Row(
            "CPU in user_app per transfer",
            Quantity(spread.cpu_ms("user_app"), "ms"),
            Quantity(hello.cpu_ms("reference"), "ms", "hello"),
            at_most(3),
        ),
    ]
    if extra.counted_transfers:
        trips = extra.statements.all_calls / extra.counted_transfers
        found.append(Row("round trips to Postgres per transfer", Quantity(trips, ""), None, at_most(0.5)))
    return found


def _other_work(rounds: Rounds) -> list[Row]:
    compared = (
        ("bulk spread", "bulk of 1,000, spread", "pgbench spread", at_least(5)),
        ("bulk to one shop", "bulk of 1,000, to one shop", "pgbench to one account", at_least(15)),
        ("GET /wallet", "GET /wallet", "hello", at_least(0.5)),
        ("GET /transactions?limit=20", "GET /transactions?limit=20", "hello", at_least(0.3)),
        ("home page", "home page", "hello", at_least(0.15)),
        ("webhooks settled", "webhooks settled", "pgbench spread", at_least(0.5)),
    )
    return [
        _rates(rounds, work, name, reference, goal) for name, work, reference, goal in compared if name in rounds.found
    ]


def _rates(rounds: Rounds, work: str, name: str, reference: str, goal: Goal) -> Row:
    ours, theirs = rounds.found[name], rounds.found[reference]
    by_cpu = theirs.whole_cpu_ms / ours.whole_cpu_ms if ours.whole_cpu_ms else None
    return Row(work, Quantity(ours.per_second, "/s"), Quantity(theirs.per_second, "/s", reference), goal, by_cpu)


def _waiting(extra: Extra) -> list[Row]:
    found = []
    if extra.half_peak_p99_ms:
        idle = Quantity(extra.idle_ms, "ms", "median, idle")
        found.append(Row("p99 at half the peak", Quantity(extra.half_peak_p99_ms, "ms"), idle, at_most(8)))
    if extra.payouts is not None:
        paid = Quantity(extra.payouts.payouts_per_second, "/s")
        slots = Quantity(SLOTS, "/s", "slots, each 1 s")
        found.append(Row("withdrawals", paid, slots, at_least(0.9)))
    if extra.mail_share is not None:
        share = Quantity(extra.mail_share, "", f"{extra.mail_share_in_all:.2f} with the time after")
        found.append(Row("CPU of mail and worker during the load", share, None, at_most(0.1)))
    if extra.backlog_seconds is not None:
        found.append(Row("until the mail is sent", Quantity(extra.backlog_seconds, "s"), None, at_most(60)))
    return found


def _memory(extra: Extra) -> list[Row]:
    largest, slopes = extra.memory.largest(), extra.memory.slopes()
    if not largest:
        return []
    name = max(largest, key=lambda each: largest[each])
    found = [Row(f"memory, largest process ({name})", Quantity(largest[name], "MiB"), None, at_most(MAX_MEMORY_MIB))]
    if extra.is_growth_known:
        growing = max(slopes, key=lambda each: slopes[each])
        fastest = Quantity(slopes[growing], "MiB/min")
        found.append(Row(f"growth, fastest process ({growing})", fastest, None, at_most(MAX_GROWTH_MIB_PER_MINUTE)))
    return found
