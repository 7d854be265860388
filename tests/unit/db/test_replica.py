from __future__ import annotations

from math import inf

from shared.db.replica import Positions


def test_a_server_shows_all_that_was_committed_before_the_newest_position_it_has_replayed() -> None:
    positions = Positions(span=10)
    for at, written in ((1.0, 100), (2.0, 200), (3.0, 200), (4.0, 300)):
        positions.note(at, written)
    assert [positions.reached_at(replayed) for replayed in (99, 100, 199, 200, 299, 300, 999)] == [
        -inf,
        1.0,
        1.0,
        3.0,
        3.0,
        4.0,
        4.0,
    ]


def test_an_idle_primary_makes_no_standby_old() -> None:
    positions = Positions(span=10)
    for second in range(100):
        positions.note(float(second), 100)
    assert positions.reached_at(100) == 99.0


def test_what_is_older_than_the_span_is_forgotten() -> None:
    positions = Positions(span=10)
    for second in range(100):
        positions.note(float(second), second)
    assert positions.reached_at(50) == -inf
    assert positions.reached_at(90) == 90.0


def test_nothing_is_known_before_the_first_position_or_of_another_primary() -> None:
    positions = Positions(span=10)
    assert positions.reached_at(1) == -inf
    positions.note(1.0, 500)
    positions.note(2.0, 400)
    assert positions.reached_at(400) == 2.0
    assert positions.reached_at(399) == -inf
