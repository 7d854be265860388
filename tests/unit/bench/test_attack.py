"""When `make attack` fails for the sake of time."""

from __future__ import annotations

import pytest

from bench.attack.__main__ import QUIET, Finding, misses
from bench.attack.attacks import Answers
from bench.attack.stranger import SIGN_IN

PEACE = [0.2, 0.2, 0.4]


def finding(during: list[float], *, peace: list[float] = PEACE, others: float = 0.0) -> Finding:
    return Finding("any", Answers(), 0, {SIGN_IN: peace}, {SIGN_IN: during}, others)


@pytest.mark.parametrize(
    ("during", "is_missed"),
    [
        (PEACE, False),
        ([0.59, 0.59, 1.19], False),
        ([0.61, 0.61, 0.61], True),  # the median
        ([0.2, 0.2, 1.21], True),  # the slowest
    ],
)
def test_the_median_and_the_slowest_are_at_most_three_times_those_in_peace(
    during: list[float], is_missed: bool
) -> None:
    assert misses([finding(PEACE), finding(during)]) == is_missed


@pytest.mark.parametrize(("slowest", "is_missed"), [(1.19, False), (1.21, True)])
def test_the_slowest_is_compared_with_the_usual_slowest_in_peace(slowest: float, is_missed: bool) -> None:
    lucky, usual, unlucky = ([0.2, 0.2, seconds] for seconds in (0.2, 0.4, 4.0))
    for peace in (lucky, unlucky):
        others = [finding(PEACE, peace=each) for each in (lucky, usual, unlucky) if each is not peace]
        assert misses([finding([0.2, 0.2, slowest], peace=peace), *others]) == is_missed


def test_a_machine_that_does_other_work_is_not_judged() -> None:
    assert not misses([finding([9.0], others=QUIET + 0.01)])
    assert misses([finding([9.0], others=QUIET)])
