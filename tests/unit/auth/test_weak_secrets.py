from __future__ import annotations

import pytest

from shared.auth import weak_secrets
from shared.auth.errors import WeakSecret
from shared.auth.weak_secrets import JUDGED_CHARACTERS, is_weak_password, is_weak_pin, require_strong

EMAIL, NAMES = "alice.rao@example.com", ("Alice", "Rao")


@pytest.mark.parametrize("pin", ["0000", "1111", "999999", "1212", "12121", "123123", "1122", "112233"])
def test_repeated_digits_are_weak(pin: str) -> None:
    assert is_weak_pin(pin)


@pytest.mark.parametrize("pin", ["1234", "123456", "4321", "7890", "0987", "2468", "9630"])
def test_runs_up_and_down_are_weak(pin: str) -> None:
    assert is_weak_pin(pin)


@pytest.mark.parametrize("pin", ["1947", "2007", "150890", "091390", "900915", "199008", "081990", "2580", "147258"])
def test_years_dates_and_common_pins_are_weak(pin: str) -> None:
    assert is_weak_pin(pin)


@pytest.mark.parametrize("pin", ["4812", "4711", "8305", "2100", "1850", "90210", "482913", "825693", "9173"])
def test_other_pins_are_not(pin: str) -> None:
    assert not is_weak_pin(pin)


def test_most_pins_can_be_chosen() -> None:
    for digits, most in ((4, 500), (5, 200), (6, 100_000)):
        assert sum(is_weak_pin(f"{pin:0{digits}}") for pin in range(10**digits)) < most


@pytest.mark.parametrize(
    "password",
    [
        "password123",
        "12345678",
        "qwertyuiop",
        "P@ssw0rd1",
        "iloveyou2",
        "aaaaaaaaaaaa",
        "batua1234",
        "alice.rao@example.com",
        "AliceRao1990",
        "rao-alice!",
        "ALICE@12345",
        "4l1c3r40",
    ],
)
def test_common_passwords_and_the_owner_s_own_words_are_weak(password: str) -> None:
    assert is_weak_password(password, email=EMAIL, names=NAMES)


@pytest.mark.parametrize(
    "password", ["correct horse", "try-batua-now", "alice likes mangoes", "नमस्ते दुनिया", "vX3#qP9z"]
)
def test_other_passwords_are_not(password: str) -> None:
    assert not is_weak_password(password, email=EMAIL, names=NAMES)


def test_a_password_is_weak_by_the_name_of_its_owner_alone() -> None:
    assert is_weak_password("Chai Point 2024", email="shop@example.com", names=["Chai Point"])
    assert not is_weak_password("Chai Point 2024", email="shop@example.com", names=["Blue Tokai"])


def test_what_is_estimated_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    estimated: list[tuple[str, list[str]]] = []
    guesses = weak_secrets._guesses

    def recording(password: str, words: list[str]) -> int:
        estimated.append((password, words))
        return guesses(password, words)

    monkeypatch.setattr(weak_secrets, "_guesses", recording)
    assert not is_weak_password("@4({[<369!1|0$57+%2" * 3, email=EMAIL, names=[f"{n}{n}{n} " * 30 for n in "abcdefgh"])
    assert all(len(password) <= JUDGED_CHARACTERS for password, _ in estimated)
    assert all(len(words) < 30 for _, words in estimated)


def test_every_secret_that_is_weak_is_named() -> None:
    with pytest.raises(WeakSecret) as raised:
        require_strong(email=EMAIL, names=NAMES, password="password123", pin="0000", prefix="new_")
    assert [each.field for each in raised.value.errors] == ["new_password", "new_pin"]
    with pytest.raises(WeakSecret) as of_name:
        require_strong(email=EMAIL, names=NAMES, password="alicerao", pin="1990")
    said = [{each.message for each in error.errors} for error in (raised.value, of_name.value)]
    assert said[0] == said[1]  # whatever the list that has it
    require_strong(email=EMAIL, names=NAMES, password="correct horse", pin="4812")
