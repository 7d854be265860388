"""Quotas of an owner, counted in one process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared import clock
from shared.ids import new_id
from shared.quotas import counts as counts_module
from shared.quotas.counts import DAY_SECONDS, MINUTE_SECONDS, Counts, Quota, Share
from shared.quotas.errors import TooManyKeys

MIDNIGHT_IN_INDIA = datetime(2027, 3, 1, 18, 30, tzinfo=UTC)


@pytest.fixture
def a_minute_before_midnight() -> Iterator[None]:
    with clock.reading(lambda: MIDNIGHT_IN_INDIA - timedelta(seconds=60)):
        yield


def quota(limit: int, seconds: int = DAY_SECONDS, counts: Counts | None = None) -> Quota:
    return Quota(counts or Counts(), "keys", limit, seconds, TooManyKeys)


@pytest.mark.usefixtures("a_minute_before_midnight")
def test_an_owner_who_has_used_it_up_is_told_until_when() -> None:
    keys, asha, ravi = quota(2), new_id(), new_id()
    for _ in range(2):
        keys.require_room(asha)
        keys.count(asha)
    with pytest.raises(TooManyKeys) as refused:
        keys.require_room(asha)
    assert (refused.value.limit, refused.value.retry_after_seconds) == (2, 61)
    keys.require_room(ravi)
    with clock.reading(lambda: MIDNIGHT_IN_INDIA):
        keys.require_room(asha)


def test_more_than_there_is_room_for_is_refused() -> None:
    keys, asha = quota(10, MINUTE_SECONDS), new_id()
    keys.count(asha, 8)
    keys.require_room(asha, 2)
    with pytest.raises(TooManyKeys):
        keys.require_room(asha, 3)


@pytest.mark.usefixtures("a_minute_before_midnight")
def test_what_other_processes_say_only_adds() -> None:
    counts, asha = Counts(), new_id()
    keys = quota(100, counts=counts)
    keys.count(asha, 9)
    assert list(counts.shares(10)) == []  # less than a tenth
    keys.count(asha)
    (share,) = counts.shares(10)
    assert (share.own, list(counts.shares(10))) == (10, [])
    for total, used in ((70, 70), (3, 70), (0, 70), (80, 80)):
        counts.learn(share, total)
        assert counts.used(share.name, DAY_SECONDS) == used
    counts.learn(Share(share.name, share.period - 1, 0, 1), 10_000)
    assert counts.used(share.name, DAY_SECONDS) == 80
    with clock.reading(lambda: MIDNIGHT_IN_INDIA):
        assert counts.used(share.name, DAY_SECONDS) == 0
        assert list(counts.shares(10)) == []


def test_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts_module, "MAX_COUNTED", 2)
    counts = Counts()
    keys, (first, second, third) = quota(1, counts=counts), (new_id(), new_id(), new_id())
    for owner in (first, second, first, third):
        keys.count(owner)
    assert [counts.used(("keys", owner), DAY_SECONDS) for owner in (first, second, third)] == [2, 0, 1]
    assert len(list(counts.shares(10))) == 2
