"""The plan of a chaos run comes from its seed alone, and knows every fault."""

from __future__ import annotations

from itertools import islice
from typing import get_args

from chaos.plan import FaultKind, faults
from services.dummy_bank.faults import Faults
from shared.banks.table import BANKS


def test_a_seed_draws_the_same_faults_again() -> None:
    assert list(islice(faults(7), 200)) == list(islice(faults(7), 200))
    assert list(islice(faults(7), 20)) != list(islice(faults(8), 20))


def test_a_long_run_has_every_kind_of_fault() -> None:
    drawn = list(islice(faults(1), 2000))
    assert {fault.kind for fault in drawn} == set(get_args(FaultKind))


def test_the_banks_misbehave_in_every_way_they_can() -> None:
    chosen = [fault.details for fault in islice(faults(1), 2000) if fault.kind == "bank"]
    for details in chosen:
        Faults.model_validate(details)
    assert {name for details in chosen for name in details} == set(Faults.model_fields)


def test_each_run_begins_with_payouts_that_the_banks_make_and_do_not_answer() -> None:
    for seed in range(100):
        opening = list(islice(faults(seed), len(BANKS)))
        assert [fault.target for fault in opening] == list(BANKS)
        for fault in opening:
            assert fault.kind == "bank"
            assert fault.details["timeout_after_rate"] > 0.5
            assert not fault.details["idempotency"]  # sent again, it would be paid again


def test_no_way_to_misbehave_comes_again_before_all_others_came() -> None:
    drawn = [fault.details for fault in islice(faults(1), 2000) if fault.kind == "bank"][len(BANKS) :]
    enough = 30  # of fifteen ways, at least one at a time: a whole deal lies within any so many
    for first in range(len(drawn) - enough):
        assert {name for details in drawn[first : first + enough] for name in details} == set(Faults.model_fields)
