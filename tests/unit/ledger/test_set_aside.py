"""Queues of those who wait for a locked account."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from shared.ledger.set_aside import SetAside

A, B = UUID(int=1), UUID(int=2)


@dataclass(eq=False)
class Waiting:
    accounts: tuple[UUID, ...] = (A,)
    behind: UUID | None = None
    is_over: bool = False


def test_accounts_take_turns_and_each_keeps_its_order() -> None:
    aside: SetAside[Waiting] = SetAside()
    first, second, third = Waiting(), Waiting(), Waiting()
    aside.add(first, A)
    aside.add(second, B)
    aside.add(third, A)
    assert [aside.next_turn(10) for _ in range(3)] == [[first, third], [second], [first, third]]
    assert aside.next_turn(1) == [second]
    assert aside.next_turn(1) == [first]
    assert aside.all(2) == [second, first]


def test_one_that_is_set_aside_again_keeps_its_place() -> None:
    aside: SetAside[Waiting] = SetAside()
    first, second = Waiting(), Waiting()
    aside.add(first, A)
    aside.add(second, A)
    aside.add(first, A)
    assert aside.next_turn(10) == [first, second]
    assert len(aside) == 2


def test_one_that_waits_for_another_account_by_now_moves_there() -> None:
    aside: SetAside[Waiting] = SetAside()
    first, second = Waiting(), Waiting()
    aside.add(first, A)
    aside.add(second, A)
    aside.add(first, B)
    assert aside.next_turn(10) == [second]
    assert aside.next_turn(10) == [first]
    assert len(aside) == 2


def test_those_behind_it_that_touch_the_other_account_come_with_it() -> None:
    aside: SetAside[Waiting] = SetAside()
    first, second, stays, third = (Waiting(accounts) for accounts in [(A, B), (A, B), (A,), (B, A)])
    for each in (first, second, stays, third):
        aside.add(each, A)
    aside.add(second, B)
    assert aside.next_turn(10) == [first, stays]
    assert aside.next_turn(10) == [second, third]
    assert len(aside) == 4


def test_one_that_moves_away_and_back_waits_once() -> None:
    aside: SetAside[Waiting] = SetAside()
    first, second = Waiting((A, B)), Waiting((A, B))
    aside.add(first, A)
    aside.add(second, A)
    aside.add(first, B)
    aside.add(second, A)
    assert aside.all(10) == [first, second]
    assert (first.behind, second.behind, len(aside)) == (B, A, 2)


def test_what_is_over_leaves_and_an_empty_queue_is_gone() -> None:
    aside: SetAside[Waiting] = SetAside()
    first, second = Waiting(), Waiting()
    aside.add(first, A)
    aside.add(second, B)
    assert aside.account_among([UUID(int=9), B, A]) == B
    second.is_over = True
    assert aside.next_turn(10) == [first]
    assert aside.account_among([B]) is None
    first.is_over = True
    assert aside.next_turn(10) == []
    assert aside.account_among([A]) is None
