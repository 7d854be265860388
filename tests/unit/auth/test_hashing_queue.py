from __future__ import annotations

import asyncio
import random

import pytest

from shared.auth.errors import HashingBusy
from shared.auth.hashing_queue import Asker, HashingQueue, Waiter
from shared.ids import new_id

ASHA, RAVI, MALLORY = new_id(), new_id(), new_id()


def waiter() -> Waiter:
    return asyncio.get_running_loop().create_future()


def put(queue: HashingQueue, asker: Asker, times: int = 1) -> list[Waiter]:
    made = [waiter() for _ in range(times)]
    for each in made:
        queue.put(asker, each)
    return made


def popped(queue: HashingQueue) -> Waiter:
    """Whose turn it is, where everyone may begin."""
    found = queue.pop(lambda _: True)
    assert found is not None
    return found[1]


def turn_of(queue: HashingQueue, one: Waiter) -> int:
    """Which turn it has, from 1."""
    turns = [popped(queue) for _ in range(len(queue))]
    return turns.index(one) + 1


async def test_owners_at_one_address_take_turns() -> None:
    queue = HashingQueue(100, 100, 100)
    put(queue, Asker.owner(MALLORY, "192.0.2.1"), 50)
    [asha] = put(queue, Asker.owner(ASHA, "192.0.2.1"))
    assert turn_of(queue, asha) == 2


async def test_addresses_take_turns_however_many_accounts_one_has() -> None:
    queue = HashingQueue(100, 100, 100)
    for _ in range(50):
        put(queue, Asker.owner(new_id(), "192.0.2.1"))
    [asha] = put(queue, Asker.stranger("asha@example.com", "192.0.2.2"))
    assert turn_of(queue, asha) == 2


async def test_one_who_comes_during_a_hash_waits_for_no_second_one_of_the_same_owner() -> None:
    queue = HashingQueue(100, 100, 100)
    mallory = Asker.owner(MALLORY, "192.0.2.1")
    put(queue, mallory, 50)
    for asker in (Asker.owner(ASHA, "192.0.2.1"), Asker.owner(RAVI, "192.0.2.2")):
        popped(queue)
        [newcomer] = put(queue, asker)
        queue.go_last(mallory)
        assert popped(queue) is newcomer
        queue.go_last(asker)


async def test_a_turn_that_may_not_begin_is_kept_and_the_next_one_has_its_own() -> None:
    queue = HashingQueue(100, 100, 100)
    mallory, asha = Asker.owner(MALLORY, "192.0.2.1"), Asker.owner(ASHA, "192.0.2.2")
    [first], [second] = put(queue, mallory), put(queue, asha)
    assert queue.pop(lambda asker: asker != mallory) == (asha, second)
    assert queue.pop(lambda asker: asker != mallory) is None
    assert queue.pop(lambda _: True) == (mallory, first)


async def test_the_addresses_of_an_ipv6_network_are_one() -> None:
    queue = HashingQueue(100, 100, 100)
    for number in range(50):
        put(queue, Asker.stranger("asha@example.com", f"2001:db8::{number:x}"))
    [asha] = put(queue, Asker.stranger("asha@example.com", "192.0.2.2"))
    assert turn_of(queue, asha) == 2


async def test_one_owner_has_a_share_and_no_more_from_all_addresses() -> None:
    queue = HashingQueue(100, 100, 3)
    for number in range(3):
        put(queue, Asker.owner(MALLORY, f"192.0.2.{number}"))
    with pytest.raises(HashingBusy):
        put(queue, Asker.owner(MALLORY, "192.0.2.9"))
    with pytest.raises(HashingBusy):
        queue.require_room(Asker.owner(MALLORY, "192.0.2.9"))
    put(queue, Asker.owner(ASHA, "192.0.2.9"))


async def test_attempts_at_an_email_from_elsewhere_take_no_share_of_its_owner() -> None:
    queue = HashingQueue(100, 100, 3)
    put(queue, Asker.stranger("asha@example.com", "192.0.2.1"), 3)
    put(queue, Asker.stranger("asha@example.com", "192.0.2.2"), 3)


@pytest.mark.parametrize(("most", "most_of_address"), [(10, 10), (100, 10)])
async def test_when_all_is_full_the_longest_line_loses_its_newest_place(most: int, most_of_address: int) -> None:
    queue = HashingQueue(most, most_of_address, 100)
    flood = put(queue, Asker.owner(MALLORY, "192.0.2.1"), 10)
    [asha] = put(queue, Asker.owner(ASHA, "192.0.2.1"))
    assert [each.done() for each in flood] == [False] * 9 + [True]
    assert isinstance(flood[-1].exception(), HashingBusy)
    with pytest.raises(HashingBusy):
        put(queue, Asker.owner(MALLORY, "192.0.2.1"))
    assert len(queue) == 10
    assert turn_of(queue, asha) == 2


async def test_when_all_is_full_the_address_with_most_pays() -> None:
    queue = HashingQueue(10, 8, 100)
    flood = put(queue, Asker.owner(MALLORY, "192.0.2.1"), 8) + put(queue, Asker.owner(RAVI, "192.0.2.2"), 2)
    put(queue, Asker.owner(ASHA, "192.0.2.3"))
    assert [each.done() for each in flood] == [False] * 7 + [True] + [False] * 2
    flood[7].exception()


async def test_equals_do_not_push_each_other_out() -> None:
    queue = HashingQueue(3, 3, 3)
    for number in range(3):
        put(queue, Asker.owner(new_id(), f"192.0.2.{number}"))
    with pytest.raises(HashingBusy):
        put(queue, Asker.owner(new_id(), "192.0.2.9"))


async def test_nothing_is_lost_or_kept_whatever_comes_and_goes() -> None:
    dice, queue = random.Random(7), HashingQueue(20, 8, 4)
    askers = [Asker.owner(new_id(), f"192.0.2.{number % 4}") for number in range(10)]
    here: dict[Waiter, Asker] = {}
    for _ in range(3000):
        match dice.choice(["putpop", "remove"] if here else ["put"]):
            case "remove":
                one = dice.choice(list(here))
                queue.remove(here.pop(one), one)
            case "putpop" if len(here) > 15 and dice.random() < 0.5:
                assert here.pop(popped(queue))
            case _:
                asker, one = dice.choice(askers), waiter()
                try:
                    queue.put(asker, one)
                except HashingBusy:
                    assert one.done() or sum(each == asker for each in here.values()) == 4
                else:
                    here[one] = asker
        for lost in [each for each in here if each.done()]:
            assert isinstance(lost.exception(), HashingBusy)
            del here[lost]
        assert len(queue) == len(here) <= 20
    assert {popped(queue) for _ in range(len(here))} == set(here)
    assert queue.pop(lambda _: True) is None
    assert not queue._addresses
    assert not queue._at_address
    assert not queue._of_owner
