"""However much strangers try, the trail stays small, and it counts all of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared import clock
from shared.audit.kinds import MANY_GUESSES, Kind
from shared.audit.trail import FOLD_SECONDS, MANY, Fold, Trail
from shared.ids import new_id

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=FOLD_SECONDS)


@pytest.fixture
def trail(monkeypatch: pytest.MonkeyPatch) -> Trail:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    return Trail()


def total(folds: list[Fold]) -> int:
    return sum(fold.count for fold in folds)


def test_ten_thousand_failures_from_one_address_are_two_rows(trail: Trail) -> None:
    rows = []
    for number in range(10_000):
        trail.record(Kind.SIGN_IN_FAILED, address="192.0.2.1")
        if number % 100 == 0:
            rows += trail.take(NOON)
    rows += trail.take(LATER)
    assert [fold.count for fold in rows] == [1, 9_999]


def test_ten_thousand_addresses_are_so_many_rows_as_are_told_apart(trail: Trail) -> None:
    for number in range(10_000):
        trail.record(Kind.SIGN_IN_FAILED, address=f"2001:db8:{number:x}::/64")
    rows = [*trail.take(NOON), *trail.take(LATER)]
    assert len(rows) == MANY_GUESSES + 1
    assert total(rows) == 10_000
    assert rows[-1].subject.address == MANY
    assert not trail._folds
    assert not any(trail._distinct.values())


def test_guesses_at_made_up_emails_push_no_owner_out(trail: Trail) -> None:
    for number in range(1_000):
        trail.record(Kind.SIGN_IN_FAILED, address=str(number))
    asha = new_id()
    trail.record(Kind.SIGN_IN_FAILED, owner_id=asha, address="192.0.2.1")
    assert asha in {fold.subject.owner_id for fold in trail.take(NOON)}


def test_what_could_not_be_written_is_written_later_with_what_came_meanwhile(trail: Trail) -> None:
    trail.record(Kind.PIN_WRONG, address="192.0.2.1")
    trail.give_back(trail.take(LATER))
    trail.record(Kind.PIN_WRONG, address="192.0.2.1")
    (row,) = trail.take(NOON)
    assert row.count == 2
    assert trail.take(LATER) == []


def test_a_new_window_begins_with_a_row_of_its_own(trail: Trail) -> None:
    for at in (NOON, LATER):
        trail.record(Kind.PIN_WRONG, address="192.0.2.1")
        assert total(trail.take(at)) == 1
        assert trail.take(at + timedelta(seconds=FOLD_SECONDS)) == []


def test_at_the_end_everything_is_taken(trail: Trail) -> None:
    for _ in range(3):
        trail.record(Kind.PIN_WRONG, address="192.0.2.1")
        trail.take(NOON)
    assert total(trail.take(NOON, everything=True)) == 2
