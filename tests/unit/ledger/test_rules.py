"""The laws of money, held against any sequence of commands."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.calendar import indian_day
from shared.ledger.limits import Limits, SendingLimit
from shared.ledger.rules import (
    AccountState,
    Books,
    CaptureHold,
    Command,
    HoldState,
    OriginalState,
    PlaceHold,
    Posted,
    Rejected,
    ReleaseHold,
    Transfer,
    decide,
)

A, B, SETTLEMENT, CLOSED, DOLLARS = (UUID(int=number) for number in range(1, 6))
UNKNOWN = UUID(int=99)
HOLDS = [UUID(int=1000 + number) for number in range(4)]
DAYS = [indian_day(datetime(2026, 11, day, 12, tzinfo=UTC)) for day in (20, 21)]
LIMITS = [SendingLimit(account, Limits("transfer", 300, 400, day)) for account in (A, B) for day in DAYS]

accounts = st.sampled_from([A, B, SETTLEMENT, CLOSED, DOLLARS, UNKNOWN])
amounts = st.integers(min_value=1, max_value=500)


def opening_books(balance_a: int = 300, balance_b: int = 200) -> Books:
    states = [
        AccountState(A, balance=balance_a),
        AccountState(B, balance=balance_b),
        AccountState(SETTLEMENT, balance=-balance_a - balance_b, allow_negative=True),
        AccountState(CLOSED, is_closed=True),
        AccountState(DOLLARS, currency="USD"),
    ]
    return Books({state.id: state for state in states})


@st.composite
def commands(draw: st.DrawFn) -> list[Command]:
    made: list[Command] = []
    for number in range(draw(st.integers(0, 25))):
        transfer = Transfer(
            UUID(int=10_000 + number),
            "p2p",
            draw(accounts),
            draw(accounts),
            draw(amounts),
            reverses=draw(st.none() | st.sampled_from([UUID(int=10_000 + n) for n in range(number + 1)])),
            limit=draw(st.none() | st.sampled_from(LIMITS)),
        )
        hold = draw(st.sampled_from(HOLDS))
        kind = draw(st.sampled_from(["transfer", "place", "capture", "release"]))
        if kind == "transfer":
            made.append(transfer)
        elif kind == "place":
            made.append(PlaceHold(hold, draw(accounts), draw(amounts)))
        elif kind == "capture":
            made.append(CaptureHold(hold, transfer))
        else:
            made.append(ReleaseHold(hold, draw(accounts)))
    return made


def books_with_original() -> Books:
    books = opening_books()
    original = OriginalState(UUID(int=10_000), A, B, 150)
    return Books(books.accounts, books.holds, {original.id: original})


@given(commands())
def test_money_is_neither_made_nor_lost(sequence: list[Command]) -> None:
    _, after = decide(books_with_original(), sequence)
    assert sum(account.balance for account in after.accounts.values()) == 0


@given(commands())
def test_no_account_goes_below_its_floor_and_holds_add_up(sequence: list[Command]) -> None:
    _, after = decide(books_with_original(), sequence)
    held = Counter[UUID]()
    for hold in after.holds.values():
        held[hold.account_id] += hold.amount if hold.is_active else 0
    for account in after.accounts.values():
        assert account.held == held[account.id]
        assert account.allow_negative or account.available >= 0


@given(commands())
def test_entries_run_without_a_gap_and_end_at_the_balance(sequence: list[Command]) -> None:
    books = books_with_original()
    outcomes, after = decide(books, sequence)
    lines = [line for outcome in outcomes if isinstance(outcome, Posted) for line in outcome.entries]
    for account in after.accounts.values():
        own = [line for line in lines if line.account_id == account.id]
        assert [line.seq for line in own] == list(range(1, account.seq + 1))
        running = books.accounts[account.id].balance
        for line in own:
            running += line.amount if line.direction == "CREDIT" else -line.amount
            assert line.balance_after == running
        assert running == account.balance


@given(commands())
def test_a_rejected_command_changes_nothing(sequence: list[Command]) -> None:
    books = books_with_original()
    outcomes, after = decide(books, sequence)
    accepted = [outcome.command for outcome in outcomes if isinstance(outcome, Posted)]
    again, after_accepted = decide(books, accepted)
    assert all(isinstance(outcome, Posted) for outcome in again)
    assert after_accepted == after


@given(commands(), st.lists(st.integers(0, 25), max_size=5))
def test_any_split_into_batches_gives_the_same_result(sequence: list[Command], cuts: list[int]) -> None:
    books = books_with_original()
    whole, after_whole = decide(books, sequence)
    parts, edges = [], sorted({0, len(sequence), *(cut for cut in cuts if cut < len(sequence))})
    for start, end in pairwise(edges):
        outcomes, books = decide(books, sequence[start:end])
        parts += outcomes
    assert [str(outcome) for outcome in parts] == [str(outcome) for outcome in whole]
    assert books == after_whole


@given(st.lists(amounts, max_size=10))
def test_reversals_never_add_up_to_more_than_the_original(wanted: list[int]) -> None:
    reversals = [
        Transfer(UUID(int=20_000 + index), "refund", B, A, amount, reverses=UUID(int=10_000))
        for index, amount in enumerate(wanted)
    ]
    outcomes, _ = decide(books_with_original(), list(reversals))
    posted = [outcome.command for outcome in outcomes if isinstance(outcome, Posted)]
    assert sum(command.amount for command in posted if isinstance(command, Transfer)) <= 150


def test_a_transfer_can_be_reversed_right_after_it_and_never_before() -> None:
    paid = Transfer(UUID(int=1), "payment", A, B, 100)
    refunds = [Transfer(UUID(int=number), "refund", B, A, 60, reverses=paid.id) for number in (2, 3, 4)]
    outcomes, books = decide(opening_books(), [refunds[0], paid, refunds[1], refunds[2]])
    assert [type(outcome) for outcome in outcomes] == [Rejected, Posted, Posted, Rejected]
    codes = [outcome.error.code for outcome in outcomes if isinstance(outcome, Rejected)]
    assert codes == ["original_not_found", "reversal_exceeds_original"]
    assert (books.accounts[A].balance, books.accounts[B].balance) == (260, 240)


def test_a_transfer_that_was_rejected_cannot_be_reversed() -> None:
    too_much = Transfer(UUID(int=1), "payment", A, B, 301)
    outcomes, _ = decide(opening_books(), [too_much, Transfer(UUID(int=2), "refund", B, A, 1, reverses=too_much.id)])
    assert [outcome.error.code for outcome in outcomes if isinstance(outcome, Rejected)] == [
        "insufficient_funds",
        "original_not_found",
    ]


@given(commands())
def test_no_wallet_counts_more_in_a_day_than_its_limit(sequence: list[Command]) -> None:
    outcomes, after = decide(books_with_original(), sequence)
    sent = Counter[UUID]()
    for outcome in outcomes:
        transfer = outcome.command.transfer if isinstance(outcome.command, CaptureHold) else outcome.command
        if isinstance(outcome, Posted) and isinstance(transfer, Transfer) and transfer.limit is not None:
            assert transfer.amount <= transfer.limit.limits.per_movement
            sent[transfer.limit.account_id] += transfer.amount
    for account in after.accounts.values():
        assert account.sent_today <= 400
        assert account.sent_today <= sent[account.id] <= 800  # on two days


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Transfer(UUID(int=1), "p2p", A, B, 301), "insufficient_funds"),
        (Transfer(UUID(int=1), "p2p", A, B, 301, limit=LIMITS[0]), "limit_exceeded"),
        (Transfer(UUID(int=1), "p2p", A, UNKNOWN, 1), "account_not_found"),
        (Transfer(UUID(int=1), "p2p", UNKNOWN, A, 1), "account_not_found"),
        (Transfer(UUID(int=1), "p2p", A, A, 1), "same_account"),
        (Transfer(UUID(int=1), "p2p", A, CLOSED, 1), "account_closed"),
        (Transfer(UUID(int=1), "p2p", A, DOLLARS, 1), "currency_mismatch"),
        (Transfer(UUID(int=1), "refund", B, A, 1, reverses=UNKNOWN), "original_not_found"),
        (Transfer(UUID(int=1), "refund", A, B, 1, reverses=UUID(int=10_000)), "reversal_mismatch"),
        (Transfer(UUID(int=1), "refund", B, A, 151, reverses=UUID(int=10_000)), "reversal_exceeds_original"),
        (PlaceHold(UUID(int=2), A, 301), "insufficient_funds"),
        (PlaceHold(HOLDS[0], A, 1), "hold_exists"),
        (PlaceHold(UUID(int=2), UNKNOWN, 1), "account_not_found"),
        (CaptureHold(UNKNOWN, Transfer(UUID(int=1), "payout", A, B, 1)), "hold_not_found"),
        (CaptureHold(HOLDS[0], Transfer(UUID(int=1), "payout", B, A, 100)), "hold_not_found"),
        (CaptureHold(HOLDS[0], Transfer(UUID(int=1), "payout", A, B, 99)), "hold_mismatch"),
        (CaptureHold(HOLDS[1], Transfer(UUID(int=1), "payout", A, B, 50)), "hold_not_active"),
        (ReleaseHold(HOLDS[1], A), "hold_not_active"),
        (ReleaseHold(HOLDS[0], B), "hold_not_found"),
    ],
)
def test_each_refusal_has_its_code(command: Command, code: str) -> None:
    plain = books_with_original()
    books = Books(
        dict(plain.accounts) | {A: AccountState(A, balance=400, held=100)},
        {HOLDS[0]: HoldState(HOLDS[0], A, 100), HOLDS[1]: HoldState(HOLDS[1], A, 50, is_active=False)},
        plain.originals,
    )
    (outcome,), after = decide(books, [command])
    assert isinstance(outcome, Rejected)
    assert outcome.error.code == code
    assert after == books


def test_held_money_cannot_be_spent_but_can_be_captured() -> None:
    hold = PlaceHold(HOLDS[0], A, 250)
    spend = Transfer(UUID(int=1), "p2p", A, B, 51)
    capture = CaptureHold(HOLDS[0], Transfer(UUID(int=2), "payout", A, SETTLEMENT, 250))
    (placed, refused, captured), after = decide(opening_books(), [hold, spend, capture])
    assert isinstance(placed, Posted)
    assert isinstance(refused, Rejected)
    assert isinstance(captured, Posted)
    assert captured.balance_after(A) == 50
    assert (after.accounts[A].balance, after.accounts[A].held) == (50, 0)


def test_released_money_can_be_spent_again() -> None:
    sequence: list[Command] = [
        PlaceHold(HOLDS[0], A, 300),
        ReleaseHold(HOLDS[0], A),
        Transfer(UUID(int=1), "p2p", A, B, 300),
    ]
    outcomes, after = decide(opening_books(), sequence)
    assert all(isinstance(outcome, Posted) for outcome in outcomes)
    assert after.accounts[A].available == 0


@pytest.mark.parametrize("amount", [0, -1])
def test_an_amount_is_at_least_one_paisa(amount: int) -> None:
    with pytest.raises(ValueError, match="at least 1 paisa"):
        Transfer(UUID(int=1), "p2p", A, B, amount)
    with pytest.raises(ValueError, match="at least 1 paisa"):
        PlaceHold(UUID(int=1), A, amount)
