from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.money import MAX_MOVEMENT_PAISE, Money

paise = st.integers(-(10**13), 10**13)


@given(paise)
def test_rupees_read_back_to_the_same_paise(amount: int) -> None:
    assert Money.from_rupees(Money(amount).to_rupees()) == Money(amount)


@given(paise, paise)
def test_adding_and_taking_away_cancel(one: int, other: int) -> None:
    assert Money(one) + Money(other) - Money(other) == Money(one)
    assert Money(one) + (-Money(one)) == Money(0)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "₹0.00"),
        (5, "₹0.05"),
        (100000, "₹1,000.00"),
        (12345678, "₹1,23,456.78"),
        (1000000000, "₹1,00,00,000.00"),
        (-12345678, "-₹1,23,456.78"),
    ],
)
def test_people_read_lakh_grouping(amount: int, text: str) -> None:
    assert str(Money(amount)) == text


@pytest.mark.parametrize(
    "text", ["", "1.5", "1e3", " 1", "1.234", "\u0661", "1,000", "NaN", "--1", "+1", "1." + "0" * 9]
)
def test_anything_but_plain_rupees_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        Money.from_rupees(text)


@pytest.mark.parametrize("amount", [0, -1, MAX_MOVEMENT_PAISE + 1])
def test_a_movement_has_bounds(amount: int) -> None:
    with pytest.raises(ValueError, match="a movement is between"):
        Money.movement(amount)


def test_currencies_do_not_mix_and_floats_are_no_money() -> None:
    with pytest.raises(ValueError, match="cannot be added"):
        Money(1, "INR") + Money(1, "USD")
    with pytest.raises(TypeError):
        Money(1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Money(True)
