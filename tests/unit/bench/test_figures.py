"""What the bench's table says about figures, and how it reads the programs that it runs."""

from __future__ import annotations

import pytest
from rich.console import Console

from bench import load, pgbench, requests
from bench.figures import Goal, Quantity, Row, at_least, at_most, median
from bench.measure import CpuUse, slope
from bench.report import goals_table
from bench.rounds import Measured

PGBENCH = """\
pgbench (18.6)
transaction type: transfer.pgbench.sql
number of transactions actually processed: 7001
number of failed transactions: 0 (0.000%)
latency average = 22.747 ms
initial connection time = 60.1 ms
tps = 703.386021 (without initial connection time)
"""
WRK = """\
Running 3s test @ http://127.0.0.1:20101
  1 threads and 64 connections
Requests/sec:    994.21
{"answers": 2999, "seconds": 3.016400, "rejected": 3, "broken": 0, "p50_ms": 61.250, "p99_ms": 99.100}
"""


def test_pgbench_is_read() -> None:
    assert pgbench.read(PGBENCH) == pgbench.PgbenchRun(transactions=7001, per_second=703.386021)


def test_a_run_of_pgbench_with_failed_transactions_is_no_reference() -> None:
    with pytest.raises(ValueError, match="failed"):
        pgbench.read(PGBENCH.replace("transactions: 0", "transactions: 4"))


def test_a_script_of_pgbench_pays_the_shop_or_another_person() -> None:
    spread, shop = (pgbench.script(people=500, to_shop=to_shop) for to_shop in (False, True))
    assert r"\set payee (:payer + :other - 1) % 500 + 1" in spread
    assert r"\set payee 900001" in shop
    assert spread.count(";\n") + spread.count(r"\gset") == shop.count(";\n") + shop.count(r"\gset") == 8


def test_wrk_is_read_and_rejected_answers_do_not_count() -> None:
    came = load.read_wrk(WRK)
    assert (came.answers, came.rejected, came.p50_ms, came.p99_ms) == (2999, 3, 61.25, 99.1)
    assert came.per_second == pytest.approx(2996 / 3.0164)


def test_wrk_without_a_result_is_no_measurement() -> None:
    with pytest.raises(ValueError, match="no result"):
        load.read_wrk("unable to connect to 127.0.0.1:1\n")


@pytest.mark.parametrize(
    ("figure", "reference", "goal", "ratio", "is_met"),
    [
        (900, 1000, at_least(0.9), 0.9, True),
        (899, 1000, at_least(0.9), 0.899, False),
        (30, 10, at_most(3), 3, True),
        (31, 10, at_most(3), 3.1, False),
        (5, 0, at_least(1), float("inf"), True),
        (0.4, None, at_most(0.5), 0.4, True),
    ],
)
def test_a_ratio_meets_its_goal_or_not(
    figure: float, reference: float | None, goal: Goal, ratio: float, is_met: bool
) -> None:
    row = Row("work", Quantity(figure, "/s"), None if reference is None else Quantity(reference, "/s"), goal)
    assert row.ratio == pytest.approx(ratio)
    assert row.is_met is is_met


def test_the_table_shows_a_goal_that_is_not_met() -> None:
    rows = [
        Row("POST /transfers, spread", Quantity(812.4, "/s"), Quantity(1024, "/s", "pgbench"), at_least(0.9), 0.81),
        Row("round trips", Quantity(0.31, ""), None, at_most(0.5)),
    ]
    console = Console(width=150)
    with console.capture() as shown:
        console.print(goals_table(rows))
    lines = [" ".join(line.replace("│", " ").split()) for line in shown.get().splitlines()]
    assert "POST /transfers, spread 812 /s 1,024 /s (pgbench) 0.79 0.81 ≥ 0.9 not met" in lines
    assert "round trips 0.310 ≤ 0.5 met" in lines


def test_the_median_of_rounds_and_a_percentile_of_answers() -> None:
    assert median([3, 1, 2]) == 2
    assert median([]) == 0
    assert load.percentile([1, 2, 3, 4], 0.5) == 3
    assert load.percentile([1, 2, 3, 4], 0.99) == 4
    assert load.percentile([], 0.99) == 0


def test_a_share_of_the_cpu() -> None:
    used = CpuUse({"user_app": 6.0, "postgres": 3.0, "withdraw_worker": 0.6, "smtp": 0.4})
    assert used.share(["withdraw_worker", "smtp"]) == pytest.approx(0.1)
    assert CpuUse().share(["smtp"]) == 0


def test_growth_is_the_slope_of_the_samples() -> None:
    assert slope([1, 2, 3, 4], [10, 12, 14, 16]) == pytest.approx(2)
    assert slope([1, 2, 3], [5, 5, 5]) == 0
    assert slope([1], [5]) == 0


def test_each_request_in_turn_has_a_key_of_its_own() -> None:
    sent = [b"POST /a\r\nIdempotency-Key: " + requests.KEY + b"\r\n\r\n", b"GET /b\r\n\r\n"]
    turns = requests.in_turn(sent, "run1-")
    first = [next(turns) for _ in range(4)]
    assert first == [
        b"GET /b\r\n\r\n",
        b"POST /a\r\nIdempotency-Key: run1-2\r\n\r\n",
        b"GET /b\r\n\r\n",
        b"POST /a\r\nIdempotency-Key: run1-4\r\n\r\n",
    ]


def test_work_is_measured_per_piece_and_by_the_median_of_rounds() -> None:
    measured = Measured(pieces=10)
    for answers, seconds in ((20, 1.0), (40, 1.0), (60, 1.0)):
        measured.loads.append(load.Load(answers, seconds))
        measured.used.append(CpuUse({"user_app": 0.4, "postgres": 0.2}))
    assert measured.per_second == 400
    assert measured.cpu_ms("user_app") == pytest.approx(1.0)
    assert measured.whole_cpu_ms == pytest.approx(1.5)
