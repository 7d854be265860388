"""Quotas of an owner, counted in one process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import clock
from shared.errors import BatuaError
from shared.ids import new_id
from shared.quotas import counts as counts_module
from shared.quotas.counts import DAY_SECONDS, SECOND, TEN_SECONDS, Counts, Place, Quota, Share, take_all
from shared.quotas.errors import TooFrequentWithdrawals

NOON = datetime(2027, 3, 1, 6, 30, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    now = NOON

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def time() -> Iterator[Clock]:
    held = Clock()
    with clock.reading(lambda: held.now):
        yield held


def quota(
    limit: int, seconds: int = TEN_SECONDS, counts: Counts | None = None, *, name: str = "some", refused_as_one: int = 0
) -> Quota:
    return Quota(counts or Counts(), name, limit, seconds, TooFrequentWithdrawals, refused_as_one)


def taken(of: Quota, owner: UUID) -> Place:
    place = of.take(owner)
    assert place is not None
    return place


def do(of: Quota, owner: UUID, times: int = 1) -> None:
    for _ in range(times):
        taken(of, owner).keep()


def room(of: Quota, owner: UUID) -> int:
    """How many places are free."""
    places = []
    while (place := of.take(owner)) is not None:
        places.append(place)
    for place in places:
        place.give_back()
    return len(places)


def retry_after(of: Quota, owner: UUID) -> int:
    error: BatuaError = of.refusal(owner)
    assert error.retry_after_seconds is not None
    return error.retry_after_seconds


def test_no_moment_lets_twice_as_many_pass(time: Clock) -> None:
    withdrawals, asha, ravi = quota(5), new_id(), new_id()
    for _ in range(20):  # wherever a fixed period would begin
        do(withdrawals, asha, 5)
        assert (withdrawals.take(asha), retry_after(withdrawals, asha), room(withdrawals, ravi)) == (None, 2, 5)
        time.wait(0.5)
        assert withdrawals.take(asha) is None
        time.wait(1.5)
        assert room(withdrawals, asha) == 1
        time.wait(8.55)
        assert room(withdrawals, asha) == 5


def test_a_place_that_is_taken_counts_until_it_is_given_back(time: Clock) -> None:
    withdrawals, asha = quota(2), new_id()
    places = [taken(withdrawals, asha) for _ in range(2)]
    assert withdrawals.take(asha) is None
    time.wait(3)
    places.pop().give_back()
    assert room(withdrawals, asha) == 1
    places.pop().keep()  # as of the moment at which it was taken
    time.wait(1.9)
    assert room(withdrawals, asha) == 1
    time.wait(0.1)
    assert room(withdrawals, asha) == 2


@given(
    limit=st.integers(1, 40),
    seconds=st.sampled_from([1, 7, TEN_SECONDS, 60, DAY_SECONDS]),
    steps=st.lists(st.tuples(st.integers(0, 12_000_000), st.sampled_from(["keep", "hold", "refuse"])), max_size=60),
)
def test_one_who_waits_as_long_as_told_passes(limit: int, seconds: int, steps: list[tuple[int, str]]) -> None:
    of, asha, time, held = quota(limit, seconds, refused_as_one=3), new_id(), Clock(), list[Place]()
    with clock.reading(lambda: time.now):
        for microseconds, step in steps:
            time.wait(microseconds / 1_000_000)
            place = of.take(asha)
            if place is None:
                told = retry_after(of, asha)
                for open_place in held:
                    open_place.keep()
                held.clear()
                time.wait(told)
                taken(of, asha).keep()
            elif step == "hold":
                held.append(place)
            else:
                place.refuse() if step == "refuse" else place.keep()


@given(limit=st.integers(1, 10), steps=st.lists(st.integers(0, 4_000_000), min_size=1, max_size=80))
def test_a_time_lets_no_more_pass_than_the_limit_and_what_the_time_frees(limit: int, steps: list[int]) -> None:
    of, asha, time, passed = quota(limit), new_id(), Clock(), list[datetime]()
    with clock.reading(lambda: time.now):
        for microseconds in steps:
            time.wait(microseconds / 1_000_000)
            for _ in range(room(of, asha)):
                do(of, asha)
                passed.append(time.now)
    for begin in passed:
        for end in passed:
            among = sum(begin <= moment <= end for moment in passed)
            assert among <= limit + max(0, (end - begin).total_seconds()) * limit / TEN_SECONDS + 1e-6


def test_a_refusal_counts_as_a_part_of_one(time: Clock) -> None:
    withdrawals, asha = quota(5, refused_as_one=4), new_id()
    for _ in range(3):  # mistyped three times
        taken(withdrawals, asha).refuse()
    assert room(withdrawals, asha) == 4
    for _ in range(14):
        taken(withdrawals, asha).refuse()
    assert withdrawals.take(asha) is None  # seventeen of them are more than four
    assert retry_after(withdrawals, asha) == 1
    time.wait(0.5)
    taken(withdrawals, asha).refuse()
    assert withdrawals.take(asha) is None
    others = quota(1)
    for _ in range(3):
        taken(others, asha).refuse()


def test_what_is_done_once_needs_a_place_in_every_quota() -> None:
    counts, asha = Counts(), new_id()
    day, minute = quota(3, DAY_SECONDS, counts, name="day"), quota(1, 60, counts, name="minute")
    places, used_up = take_all((day, minute), asha)
    assert (len(places), used_up) == (2, None)
    assert take_all((day, minute), asha) == ([], minute)
    assert room(day, asha) == 2
    for place in places:
        place.keep()
    assert (room(day, asha), room(minute, asha)) == (2, 0)


def test_a_clock_that_was_set_back_shuts_no_owner_out_for_long(time: Clock) -> None:
    withdrawals, asha = quota(5), new_id()
    do(withdrawals, asha, 5)
    time.wait(-3600)
    assert withdrawals.take(asha) is None
    assert retry_after(withdrawals, asha) == 12
    time.wait(12)
    assert room(withdrawals, asha) == 1


def test_what_other_processes_say_only_adds(time: Clock) -> None:
    counts, asha = Counts(), new_id()
    keys = quota(100, counts=counts, name="keys")
    do(keys, asha, 9)
    assert list(counts.shares(10)) == []  # less than a tenth
    do(keys, asha)
    (share,) = counts.shares(10)
    assert share == Share(("keys", asha), SECOND, SECOND, 20 * SECOND)
    assert not list(counts.shares(10))
    for all_together, free in ((7 * SECOND, 30), (SECOND // 2, 30), (0, 30), (8 * SECOND, 20)):
        counts.learn(share, all_together)
        assert room(keys, asha) == free
    do(keys, asha)
    (share,) = counts.shares(10)
    assert (share.added, share.left) == (SECOND // 10, 81 * SECOND // 10)
    do(keys, asha)  # while the others are asked
    counts.learn(share, 85 * SECOND // 10)
    assert room(keys, asha) == 14
    time.wait(10)
    assert room(keys, asha) == 100
    assert [(share.added, share.left) for share in counts.shares(10)] == [(0, 0)]


def test_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts_module, "MAX_COUNTED", 2)
    counts = Counts()
    keys, (first, second, third) = quota(3, counts=counts), (new_id(), new_id(), new_id())
    for owner in (first, second, first, third):
        do(keys, owner)
    assert len(list(counts.shares(10))) == 2
    assert [room(keys, owner) for owner in (first, third, second)] == [1, 2, 3]


def test_a_place_whose_count_was_forgotten_counts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts_module, "MAX_COUNTED", 1)
    keys, asha, ravi = quota(2), new_id(), new_id()
    places = [taken(keys, asha) for _ in range(2)]
    do(keys, ravi)
    for place in places:
        place.keep()
    assert room(keys, asha) == 0
