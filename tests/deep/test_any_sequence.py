"""Long sequences of instructions and flows, and many of them; `tests/integration/ledger` runs a few short ones."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.support.money_machine import run_sequences
from tests.support.share import in_share

MANY = settings(
    max_examples=in_share(512),
    stateful_step_count=512,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


def test_money_is_where_the_model_says_after_any_long_sequence(fresh_database_url: str) -> None:
    run_sequences(fresh_database_url, MANY)
