"""What the rules answer in full: the lines, the time, the facts of a refusal, what the books say afterwards."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from shared.calendar import indian_day
from shared.ledger.limits import Limits, SendingLimit
from shared.ledger.rules import (
    AccountState,
    Books,
    CaptureHold,
    Command,
    Deciding,
    EntryLine,
    HoldState,
    OriginalState,
    PlaceHold,
    Posted,
    Rejected,
    ReleaseHold,
    Transfer,
    accounts_touched,
    decide,
)

A, B, COUNTED, HOLD, PAYMENT, ID = (UUID(int=number) for number in range(1, 7))
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = indian_day(AT)
LIMIT = SendingLimit(COUNTED, Limits("transfer", 500, 500, DAY))
SEND = Transfer(ID, "p2p", A, B, 40)
REFUND = Transfer(ID, "refund", A, B, 40, reverses=PAYMENT)


def books(*, held: int = 0, is_active: bool = True) -> Books:
    accounts = [
        AccountState(A, balance=100, held=held, seq=7),
        AccountState(B, balance=5, seq=2),
        AccountState(COUNTED),
    ]
    hold, payment = HoldState(HOLD, A, 40, is_active), OriginalState(PAYMENT, B, A, 90, 50)
    return Books({each.id: each for each in accounts}, {HOLD: hold}, {PAYMENT: payment})


@pytest.mark.parametrize(
    ("command", "held"), [(SEND, 0), (REFUND, 0), (CaptureHold(HOLD, SEND), 40)], ids=["send", "refund", "capture"]
)
def test_money_that_moves_has_two_lines_and_a_time(command: Command, held: int) -> None:
    lines = (EntryLine(A, 8, ID, "DEBIT", 40, 60), EntryLine(B, 3, ID, "CREDIT", 40, 45))
    assert Deciding(books(held=held), AT).decide(command) == Posted(command, lines, AT)


@pytest.mark.parametrize("command", [PlaceHold(ID, A, 40), ReleaseHold(HOLD, A)], ids=["place", "release"])
def test_a_hold_has_a_time_and_no_lines(command: Command) -> None:
    assert Deciding(books(held=40), AT).decide(command) == Posted(command, (), AT)


def frozen(account_id: UUID, *, held: int = 0) -> Books:
    before = books(held=held)
    account = before.accounts[account_id]
    return replace(before, accounts={**before.accounts, account_id: replace(account, is_frozen=True)})


@pytest.mark.parametrize("command", [SEND, REFUND, PlaceHold(ID, A, 40)], ids=["send", "refund", "place"])
def test_nothing_leaves_a_frozen_account(command: Command) -> None:
    (outcome,), after = decide(frozen(A), [command])
    assert isinstance(outcome, Rejected)
    assert (outcome.error.code, after) == ("account_frozen", frozen(A))


@pytest.mark.parametrize("command", [CaptureHold(HOLD, SEND), ReleaseHold(HOLD, A)], ids=["capture", "release"])
def test_what_a_bank_has_made_of_a_hold_is_booked_on_a_frozen_account(command: Command) -> None:
    (outcome,), after = decide(frozen(A, held=40), [command])
    assert isinstance(outcome, Posted)
    assert (after.accounts[A].held, after.accounts[A].is_frozen) == (0, True)


def test_a_frozen_account_is_credited() -> None:
    (outcome,), after = decide(frozen(B), [SEND])
    assert isinstance(outcome, Posted)
    assert (after.accounts[B].balance, after.accounts[B].is_frozen) == (45, True)


@pytest.mark.parametrize("command", [CaptureHold(HOLD, SEND), ReleaseHold(HOLD, A)], ids=["capture", "release"])
def test_a_hold_ends_once(command: Command) -> None:
    (first, second), after = decide(books(held=40), [command, command])
    assert isinstance(first, Posted)
    assert isinstance(second, Rejected)
    assert second.error.code == "hold_not_active"
    assert after.holds[HOLD] == HoldState(HOLD, A, 40, is_active=False)


@pytest.mark.parametrize("command", [CaptureHold(ID, SEND), ReleaseHold(ID, A)], ids=["capture", "release"])
def test_a_hold_that_is_placed_in_the_same_batch_ends_once(command: Command) -> None:
    (placed, first, second), after = decide(books(), [PlaceHold(ID, A, 40), command, command])
    assert isinstance(placed, Posted)
    assert isinstance(first, Posted)
    assert isinstance(second, Rejected)
    assert second.error.code == "hold_not_active"
    assert after.holds[ID] == HoldState(ID, A, 40, is_active=False)


def test_a_refund_of_all_that_is_left_is_the_last() -> None:
    (first, second), after = decide(books(), [REFUND, replace(REFUND, amount=1)])
    assert isinstance(first, Posted)
    assert isinstance(second, Rejected)
    assert second.error.facts() == {"remaining": 0}
    assert after.originals[PAYMENT] == OriginalState(PAYMENT, B, A, 90, 90)


@pytest.mark.parametrize("command", [replace(SEND, amount=71), PlaceHold(ID, A, 71)], ids=["send", "place"])
def test_a_lack_of_money_says_how_much_there_is(command: Command) -> None:
    (outcome,), _ = decide(books(held=30), [command])
    assert isinstance(outcome, Rejected)
    assert outcome.command == command
    assert outcome.error.facts() == {"available": 70, "amount": 71}


def test_the_account_of_the_limit_counts_what_is_sent() -> None:
    _, after = decide(books(), [replace(SEND, limit=LIMIT)])
    assert (after.accounts[COUNTED].sent_on, after.accounts[COUNTED].sent_today) == (DAY.date, 40)
    assert after.accounts[A].sent_today == 0


def test_what_is_sent_counts_for_the_latest_day_that_any_clock_has_begun() -> None:
    account = AccountState(A)
    account.count_sent(5, date(2026, 11, 21))
    account.count_sent(7, date(2026, 11, 20))
    assert (account.sent_on, account.sent_today) == (date(2026, 11, 21), 12)
    account.count_sent(1, date(2026, 11, 22))
    assert (account.sent_on, account.sent_today) == (date(2026, 11, 22), 1)


def test_a_copy_is_the_same_in_every_field() -> None:
    account = AccountState(A, "USD", 1, 2, True, 3, True, True, date(2026, 11, 20), 4)
    assert asdict(account.copied()) == asdict(account)
    assert account.copied() is not account


def test_what_is_changed_is_a_copy_made_once_and_the_given_books_stay() -> None:
    given = books()
    before = {account_id: asdict(account) for account_id, account in given.accounts.items()}
    deciding = Deciding(given)
    deciding.decide(SEND)
    first = list(map(id, deciding.changed))
    deciding.decide(replace(SEND, id=UUID(int=9)))
    assert list(map(id, deciding.changed)) == first
    assert [account.id for account in deciding.changed] == [A, B]
    assert {account_id: asdict(account) for account_id, account in given.accounts.items()} == before


@pytest.mark.parametrize(
    ("command", "touched"),
    [
        (SEND, (A, B)),
        (replace(SEND, limit=LIMIT), (COUNTED, A, B)),
        (CaptureHold(HOLD, replace(SEND, limit=LIMIT)), (COUNTED, A, B)),
        (PlaceHold(HOLD, A, 1), (A,)),
        (ReleaseHold(HOLD, A), (A,)),
    ],
)
def test_the_credited_account_is_the_last_that_a_command_touches(command: Command, touched: tuple[UUID, ...]) -> None:
    assert accounts_touched(command) == touched


def test_a_note_is_kept_in_one_spelling() -> None:
    assert replace(SEND, note="cafe\u0301").note == "caf\u00e9"
    assert SEND.note is None
