from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from shared.banks.number_keys import AccountNumberSettings, NumberKeys, NumberUnreadable
from tests.support.number_keys import NEWER_NUMBER_KEY, NUMBER_KEY, NUMBER_KEYS, ONLY_NEWER, ROTATED

NUMBER, PLACE = "50100123451234", b"a row"
SECRET = NUMBER_KEY.partition(":")[2]


def test_what_is_encrypted_for_a_place_is_read_there_alone() -> None:
    encrypted = NUMBER_KEYS.encrypt(NUMBER, place=PLACE)
    assert NUMBER_KEYS.decrypt(encrypted, place=PLACE) == NUMBER
    with pytest.raises(NumberUnreadable):
        NUMBER_KEYS.decrypt(encrypted, place=b"another row")


def test_two_encryptions_of_a_number_are_not_alike_and_tell_no_length() -> None:
    several = [NUMBER_KEYS.encrypt(number, place=PLACE) for number in (NUMBER, NUMBER, "123456")]
    assert len(set(several)) == 3
    assert len({len(encrypted) for encrypted in several}) == 1


@pytest.mark.parametrize("damage", ["", "tests:", "tests:????", "tests:AAAA", "gone:AAAA", "nothing"])
def test_what_is_damaged_is_unreadable(damage: str) -> None:
    with pytest.raises(NumberUnreadable):
        NUMBER_KEYS.decrypt(damage, place=PLACE)


@pytest.mark.parametrize("position", range(6, 60, 9))
def test_a_changed_character_is_found(position: int) -> None:
    encrypted = NUMBER_KEYS.encrypt(NUMBER, place=PLACE)
    other = "A" if encrypted[position] != "A" else "B"
    with pytest.raises(NumberUnreadable):
        NUMBER_KEYS.decrypt(encrypted[:position] + other + encrypted[position + 1 :], place=PLACE)


def test_after_a_rotation_both_keys_read_and_the_newer_one_writes() -> None:
    old = NUMBER_KEYS.encrypt(NUMBER, place=PLACE)
    assert ROTATED.decrypt(old, place=PLACE) == NUMBER
    new = ROTATED.encrypt(NUMBER, place=PLACE)
    assert new.startswith("newer:")
    assert ONLY_NEWER.decrypt(new, place=PLACE) == NUMBER
    with pytest.raises(NumberUnreadable) as caught:
        ONLY_NEWER.decrypt(old, place=PLACE)
    assert caught.value.key_id == "tests"


def test_an_index_is_the_same_for_a_number_and_differs_by_number_key_and_purpose() -> None:
    assert NUMBER_KEYS.index(NUMBER) == NUMBER_KEYS.index(NUMBER)
    assert NUMBER_KEYS.index(NUMBER) != NUMBER_KEYS.index("50100123451235")
    assert ROTATED.indexes(NUMBER) == [ONLY_NEWER.index(NUMBER), NUMBER_KEYS.index(NUMBER)]
    assert set(ROTATED.indexes(NUMBER)).isdisjoint(ROTATED.digests(NUMBER))


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        SECRET,
        f"1:{SECRET[:-1]}",
        f"1:{SECRET}x",
        f":{SECRET}",
        f"a b:{SECRET}",
        f"{'x' * 17}:{SECRET}",
        f"1:{SECRET},1:{NEWER_NUMBER_KEY.partition(':')[2]}",
    ],
)
def test_settings_refuse_what_is_no_key(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATUA_ACCOUNT_NUMBER_KEYS", wrong)
    with pytest.raises(ValidationError) as caught:
        AccountNumberSettings()
    assert SECRET[:-1] not in str(caught.value)


@pytest.mark.parametrize("known", [f"1:{'A' * 43}", f"1:{'changeme' * 5}abc"])
def test_production_refuses_a_key_that_is_not_random(known: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATUA_ACCOUNT_NUMBER_KEYS", known)
    AccountNumberSettings()
    monkeypatch.setenv("BATUA_ENV", "production")
    with pytest.raises(ValidationError, match="BATUA_ACCOUNT_NUMBER_KEYS"):
        AccountNumberSettings()


def test_settings_have_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BATUA_ACCOUNT_NUMBER_KEYS", raising=False)
    with pytest.raises(ValidationError, match="account_number_keys"):
        AccountNumberSettings()


def test_keys_are_read_with_and_without_padding() -> None:
    padded = NumberKeys([SecretStr(f"{NUMBER_KEY}=")])
    assert padded.decrypt(NUMBER_KEYS.encrypt(NUMBER, place=PLACE), place=PLACE) == NUMBER
