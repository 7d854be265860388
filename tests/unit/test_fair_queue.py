"""Owners take turns in a queue."""

from __future__ import annotations

import pytest

from shared.fair_queue import FairQueue
from shared.ids import new_id

ASHA, BELA, RAVI = new_id(), new_id(), new_id()


def test_with_one_item_per_owner_it_is_first_in_first_out() -> None:
    queue = FairQueue[int](10, 10)
    for number in range(5):
        queue.put(new_id(), number)
    assert [queue.pop() for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(queue) == 0
    with pytest.raises(IndexError):
        queue.pop()


def test_owners_take_turns_and_keep_the_order_of_their_own() -> None:
    queue = FairQueue[str](10, 10)
    for owner, item in [(ASHA, "a1"), (ASHA, "a2"), (ASHA, "a3"), (BELA, "b1"), (BELA, "b2"), (RAVI, "r1")]:
        queue.put(owner, item)
    assert [queue.pop() for _ in range(2)] == ["a1", "b1"]
    queue.put(ASHA, "a4")
    assert [queue.pop() for _ in range(len(queue))] == ["r1", "a2", "b2", "a3", "a4"]


def test_all_together_and_each_owner_have_a_bound() -> None:
    queue = FairQueue[int](3, 2)
    assert [queue.put(owner, 1) for owner in (ASHA, ASHA, BELA, RAVI)] == [True, True, True, False]
    queue.pop()
    assert queue.put(ASHA, 1)
    queue.pop()
    assert len(queue) == 2
    assert not queue.put(ASHA, 1)
    assert queue.put(RAVI, 1)
