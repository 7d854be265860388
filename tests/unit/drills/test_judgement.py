"""The judge of the drill sees a long outage, a lost payment, a double one and a defect."""

from __future__ import annotations

import pytest

from drills.high_availability.judgement import NO_ANSWER, Answer, Fault, judge, longest_gap

KILLED = Fault("killed", began=10, ended=22, limit_seconds=15)


def answers(*made: float, status: int = 201) -> list[Answer]:
    return [Answer(at, status, f"key-{at}") for at in made]


def booked(*made: float) -> dict[str, int]:
    return {f"key-{at}": 1 for at in made}


@pytest.mark.parametrize(
    ("made", "gap"),
    [
        ((9.0, 11.0, 15.0, 21.0, 23.0), 6.0),
        ((9.0, 23.0), 14.0),  # none inside
        ((5.0, 10.5, 21.9), 11.4),  # the one that began before counts from its last payment
        ((10.5, 21.9, 40.0), 18.1),  # and the one that goes on, until its next
        ((), 12.0),
    ],
)
def test_a_gap_is_the_longest_time_between_two_payments(made: tuple[float, ...], gap: float) -> None:
    assert longest_gap(answers(*made), 10, 22) == pytest.approx(gap)


def test_other_answers_end_no_gap() -> None:
    assert longest_gap([*answers(9, 23), *answers(15, status=503)], 10, 22) == 14


def test_a_run_that_keeps_its_promise_has_no_findings() -> None:
    refused = [Answer(12, 503, "key-14"), Answer(13, NO_ANSWER, "key-14")]
    verdict = judge([*answers(9, 14, 23), *refused], [KILLED], booked(9, 14, 23))
    assert verdict.findings == []
    assert (verdict.keys, verdict.watched[0].outage_seconds) == (3, 9)
    assert verdict.watched[0].statuses == {201: 1, 503: 1, NO_ANSWER: 1}


def test_an_outage_that_lasts_too_long_is_found_only_where_it_is_judged() -> None:
    run = answers(9, 26)
    assert judge(run, [KILLED], booked(9, 26)).findings == ["killed: 17.0 s without a payment, 15 s are allowed"]
    assert judge(run, [Fault("shown", 10, 22, None)], booked(9, 26)).findings == []


@pytest.mark.parametrize(
    ("run", "books", "finding"),
    [
        (answers(9, 14), booked(9), "lost: key-14 was answered 201 and is not booked"),
        (answers(9), {"key-9": 2}, "doubled: key-9 is booked 2 times"),
        (answers(9), booked(9, 14), "made: key-14 is booked and was never asked for"),
        ([*answers(9), Answer(12, 503, "key-12")], booked(9), "stuck: key-12 was never answered 201"),
        ([*answers(9), Answer(8, 500, "key-9")], booked(9), "1 answers 500"),
        ([*answers(9), Answer(8, 502, "key-9")], booked(9), "1 answers 502"),
    ],
)
def test_what_is_wrong_with_the_money_or_an_answer_is_found(
    run: list[Answer], books: dict[str, int], finding: str
) -> None:
    assert judge(run, [], books).findings == [finding]
