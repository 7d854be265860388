from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from pydantic import SecretStr

from shared import clock
from shared.auth.devices import KNOWN_SECONDS, MAX_ENTRIES, Devices
from shared.auth.tokens import Audience
from shared.config import TokenSettings
from shared.ids import new_id

OLD, NEW = "oldest-key-0123456789", "newest-key-0123456789"
ASHA, RAVI = new_id(), new_id()


def devices(*keys: str, audience: Audience = "user_app") -> Devices:
    return Devices(TokenSettings(token_keys=[SecretStr(key) for key in keys or (NEW,)]), audience)


def test_a_device_is_known_as_that_of_the_owner_who_signed_in_there() -> None:
    cookie = devices().remembered(ASHA, "")
    assert devices().known(ASHA, cookie) is not None
    assert devices().known(RAVI, cookie) is None
    assert devices(audience="merchant_app").known(ASHA, cookie) is None
    assert devices(OLD).known(ASHA, cookie) is None


def test_an_old_key_still_verifies() -> None:
    assert devices(NEW, OLD).known(ASHA, devices(OLD).remembered(ASHA, "")) is not None


@pytest.mark.parametrize("place", [0, 20, 25, 30, 47])
def test_no_character_of_an_entry_can_be_changed(place: int) -> None:
    cookie = devices().remembered(ASHA, "")
    changed = cookie[:place] + ("A" if cookie[place] != "A" else "B") + cookie[place + 1 :]
    assert devices().known(ASHA, changed) is None


@pytest.mark.parametrize("given", ["", ".", "x", "é" * 48, "A" * 48, "A" * 10_000, "A" * 47 + ";", ".".join("ab")])
def test_anything_else_is_no_known_device(given: str) -> None:
    assert devices().known(ASHA, given) is None
    assert devices().known(ASHA, devices().remembered(ASHA, given)) is not None


def test_a_device_is_forgotten_long_after_the_last_sign_in() -> None:
    signed_in = clock.now()
    cookie = devices().remembered(ASHA, "")
    with clock.reading(partial(signed_in.__add__, timedelta(seconds=KNOWN_SECONDS - 60))):
        assert devices().known(ASHA, cookie) is not None
        renewed = devices().remembered(ASHA, cookie)
    with clock.reading(partial(signed_in.__add__, timedelta(seconds=KNOWN_SECONDS + 1))):
        assert devices().known(ASHA, cookie) is None
        assert devices().known(ASHA, renewed) is not None


def test_a_device_keeps_its_id_and_with_it_what_was_counted_there() -> None:
    cookie = devices().remembered(ASHA, "")
    assert devices().known(ASHA, devices().remembered(ASHA, cookie)) == devices().known(ASHA, cookie)


def test_a_browser_remembers_its_newest_owners() -> None:
    owners = [new_id() for _ in range(MAX_ENTRIES + 1)]
    cookie = ""
    for owner in [owners[0], *owners]:
        cookie = devices().remembered(owner, cookie)
    assert [devices().known(owner, cookie) is not None for owner in owners] == [False] + [True] * MAX_ENTRIES
    assert len(cookie) < 200
