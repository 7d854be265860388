"""However instructions and flows follow each other, the books hold what a simple model says.

`make test-deep` runs longer sequences, and more of them.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.support.money_machine import run_sequences

FEW = settings(max_examples=5, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))


def test_money_is_where_the_model_says_after_any_sequence(fresh_database_url: str) -> None:
    run_sequences(fresh_database_url, FEW)
