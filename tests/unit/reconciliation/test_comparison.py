"""The laws of comparing two books, and what each kind of difference looks like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.banks.messages import StatementItem
from shared.reconciliation.comparison import (
    GIVEN_BACK,
    PARKED,
    TOO_RECENT,
    Direction,
    Expected,
    OurLine,
    compare,
    signed,
)

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def bank(reference: str, direction: Direction, amount: int, minute: int = 0) -> StatementItem:
    at = START + timedelta(minutes=minute)
    return StatementItem(at=at, direction=direction, amount=amount, reference=reference, utr="UTR1", balance_after=0)


def ours(reference: str, direction: Direction, amount: int, minute: int = 0, *, is_parked: bool = False) -> OurLine:
    return OurLine(reference, direction, amount, START + timedelta(minutes=minute), UUID(int=minute), is_parked)


def kinds(
    bank_lines: Sequence[StatementItem], our_lines: Sequence[OurLine]
) -> list[tuple[str, int | None, int | None]]:
    differences = compare(bank_lines, our_lines).differences
    return [(difference.kind, difference.our_amount, difference.bank_amount) for difference in differences]


def test_equal_books_have_no_differences() -> None:
    outcome = compare([bank("a", "CREDIT", 5), bank("b", "DEBIT", 3)], [ours("b", "DEBIT", 3), ours("a", "CREDIT", 5)])
    assert (outcome.differences, outcome.explained, outcome.matched) == ([], [], 2)


def test_each_kind_of_difference_is_told_apart() -> None:
    assert kinds([bank("a", "CREDIT", 5)], []) == [("unmatched_credit", None, 5)]
    assert kinds([bank("a", "DEBIT", 5)], []) == [("missing_here", None, 5)]
    assert kinds([], [ours("a", "DEBIT", 5)]) == [("missing_at_bank", 5, None)]
    assert kinds([bank("a", "CREDIT", 5)], [ours("a", "CREDIT", 6)]) == [("amount_differs", 6, 5)]


def test_the_same_amount_the_other_way_is_two_differences() -> None:
    assert kinds([bank("a", "CREDIT", 5)], [ours("a", "DEBIT", 5)]) == [
        ("unmatched_credit", None, 5),
        ("missing_at_bank", 5, None),
    ]


def test_a_payout_the_bank_made_twice_shows_although_one_of_them_matches() -> None:
    twice = [bank("w", "DEBIT", 5), bank("w", "DEBIT", 5, minute=1)]
    assert kinds(twice, [ours("w", "DEBIT", 5)]) == [("missing_here", None, 5)]
    active = [Expected("w", "DEBIT", 5, "its withdrawal is unknown")]
    assert [difference.kind for difference in compare(twice, [], expected=active).differences] == ["missing_here"]


def test_what_is_under_way_explains_its_own_line_and_no_other() -> None:
    pending = [Expected("o", "CREDIT", 5, "pending")]
    assert compare([bank("o", "CREDIT", 5)], [], expected=pending).differences == []
    assert compare([bank("o", "CREDIT", 6)], [], expected=pending).differences != []
    assert compare([bank("x", "CREDIT", 5)], [], expected=pending).differences != []
    assert compare([bank("o", "CREDIT", 5)], [], expected=pending).explained[0].surplus == 5


def test_a_payout_coming_back_is_expected_only_after_it_went_out() -> None:
    active = [Expected("w", "DEBIT", 5, "unknown"), Expected("w", "CREDIT", 5, "unknown", follows_its_opposite=True)]
    went_and_came = [bank("w", "DEBIT", 5), bank("w", "CREDIT", 5, minute=1)]
    assert compare(went_and_came, [], expected=active).differences == []
    assert compare([bank("w", "CREDIT", 5)], [], expected=active).differences != []


def test_money_the_bank_gave_back_is_explained_but_a_lone_debit_is_not() -> None:
    pair = [bank("a", "CREDIT", 5), bank("a", "DEBIT", 5, minute=1)]
    outcome = compare(pair, [])
    assert outcome.differences == []
    assert [line.reason for line in outcome.explained] == [GIVEN_BACK, GIVEN_BACK]
    assert compare(pair, [ours("a", "CREDIT", 5)]).differences != []


def test_a_payout_returned_and_paid_again_is_not_taken_for_money_given_back() -> None:
    lines = [bank("w", "DEBIT", 5), bank("w", "CREDIT", 5, minute=1), bank("w", "DEBIT", 5, minute=2)]
    assert len(compare(lines, [ours("w", "DEBIT", 5)]).differences) == 2


def test_a_parked_credit_matches_the_bank_until_a_flow_books_the_same_line() -> None:
    parked = ours("a", "CREDIT", 5, is_parked=True)
    assert compare([bank("a", "CREDIT", 5)], [parked]).matched == 1
    outcome = compare([bank("a", "CREDIT", 5)], [parked, ours("a", "CREDIT", 5, minute=3)])
    assert outcome.differences == []
    assert [(line.reason, line.surplus) for line in outcome.explained] == [(PARKED, -5)]


def test_lines_after_the_cut_are_passed_over_unless_they_match() -> None:
    cut = START + timedelta(minutes=5)
    late = [bank("a", "CREDIT", 5, minute=6), bank("b", "CREDIT", 7, minute=6)]
    outcome = compare(late, [ours("b", "CREDIT", 7, minute=9)], bank_cut=cut)
    assert (outcome.differences, outcome.matched) == ([], 1)
    assert [(line.reference, line.reason) for line in outcome.explained] == [("a", TOO_RECENT)]
    assert compare([bank("a", "CREDIT", 5, minute=5)], [], bank_cut=cut).differences != []
    assert compare([], [ours("a", "CREDIT", 5, minute=6)], our_cut=cut).differences == []


REFERENCES = st.sampled_from(["a", "b", "c"])
DIRECTIONS: st.SearchStrategy[Direction] = st.sampled_from(["CREDIT", "DEBIT"])
MOVES = st.lists(st.tuples(REFERENCES, DIRECTIONS, st.integers(1, 4)), max_size=12)


@given(moves=MOVES, order=st.randoms(use_true_random=False))
def test_a_book_equals_itself_in_any_order(moves: list[tuple[str, Direction, int]], order: Random) -> None:
    theirs = [bank(*move) for move in moves]
    own = [ours(*move) for move in moves]
    order.shuffle(own)
    outcome = compare(theirs, own)
    assert (outcome.differences, outcome.explained, outcome.matched) == ([], [], len(moves))


@given(theirs=MOVES, own=MOVES, hints=MOVES)
def test_every_paisa_between_the_books_is_either_explained_or_a_difference(
    theirs: list[tuple[str, Direction, int]],
    own: list[tuple[str, Direction, int]],
    hints: list[tuple[str, Direction, int]],
) -> None:
    bank_lines, our_lines = [bank(*move) for move in theirs], [ours(*move) for move in own]
    outcome = compare(bank_lines, our_lines, expected=[Expected(*hint, "under way") for hint in hints])
    surplus = sum(signed(line) for line in bank_lines) - sum(signed(line) for line in our_lines)
    differing = sum(
        ((difference.bank_amount or 0) - (difference.our_amount or 0)) * (1 if difference.direction == "CREDIT" else -1)
        for difference in outcome.differences
    )
    assert surplus == differing + sum(line.surplus for line in outcome.explained)
    sides = sum((d.bank_amount is not None) + (d.our_amount is not None) for d in outcome.differences)
    assert 2 * outcome.matched + sides + len(outcome.explained) == len(bank_lines) + len(our_lines)


@given(moves=st.lists(st.tuples(REFERENCES, DIRECTIONS, st.integers(1, 4)), min_size=1, max_size=12), data=st.data())
def test_one_line_dropped_from_either_book_is_found(
    moves: list[tuple[str, Direction, int]], data: st.DataObject
) -> None:
    gone = data.draw(st.integers(0, len(moves) - 1))
    rest = moves[:gone] + moves[gone + 1 :]
    assert len(compare([bank(*move) for move in rest], [ours(*move) for move in moves]).differences) == 1
    assert len(compare([bank(*move) for move in moves], [ours(*move) for move in rest]).differences) == 1
