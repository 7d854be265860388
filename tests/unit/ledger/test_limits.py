"""Which limit binds, and when a day ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.calendar import indian_day
from shared.ledger.errors import LimitExceeded
from shared.ledger.limits import Limits, SendingLimit
from shared.ledger.rules import AccountState, Books, Posted, Rejected, Transfer, decide

TODAY = indian_day(datetime(2026, 11, 20, 12, tzinfo=UTC))
WALLET, POT, FRIEND = (UUID(int=number) for number in range(1, 4))
paise = st.integers(min_value=1, max_value=1000)


@pytest.mark.parametrize(
    ("moment", "date"),
    [
        (datetime(2026, 11, 20, 18, 29, 59, tzinfo=UTC), "2026-11-20"),
        (datetime(2026, 11, 20, 18, 30, tzinfo=UTC), "2026-11-21"),
        (datetime(2026, 12, 31, 18, 30, tzinfo=UTC), "2027-01-01"),
    ],
)
def test_a_day_ends_at_midnight_in_india(moment: datetime, date: str) -> None:
    day = indian_day(moment)
    assert str(day.date) == date
    assert day.starts_at <= moment < day.ends_at == day.starts_at + timedelta(days=1)


@given(paise, paise, paise, st.integers(0, 2000))
def test_an_amount_above_the_room_is_rejected(per_movement: int, per_day: int, amount: int, used: int) -> None:
    limits = Limits("transfer", per_movement, per_day, TODAY)
    if amount <= limits.room(used):
        limits.check(amount, used)
        return
    with pytest.raises(LimitExceeded) as refused:
        limits.check(amount, used)
    assert refused.value.limit == limits.binding(used)
    assert refused.value.remaining == limits.room(used) < amount
    assert (refused.value.resets_at is None) == (refused.value.limit == "transfer_per_movement")


def send(number: int, amount: int, day: datetime, source: UUID = WALLET) -> Transfer:
    limit = SendingLimit(WALLET, Limits("transfer", 1000, 1000, indian_day(day)))
    return Transfer(UUID(int=100 + number), "p2p", source, FRIEND, amount, limit=limit)


def test_a_new_day_starts_at_zero_and_a_slow_clock_does_not_restart_the_old_day() -> None:
    books = Books({each: AccountState(each, balance=5000) for each in (WALLET, POT, FRIEND)})
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    tomorrow = noon + timedelta(days=1)
    sequence = [send(1, 900, noon), send(2, 200, noon, POT), send(3, 200, tomorrow, POT), send(4, 801, noon)]
    outcomes, after = decide(books, sequence)
    assert [type(outcome) for outcome in outcomes] == [Posted, Rejected, Posted, Rejected]
    assert (after.accounts[WALLET].sent_today, after.accounts[WALLET].sent_on) == (200, indian_day(tomorrow).date)
