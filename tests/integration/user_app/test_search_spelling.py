"""A search finds what people see as equal: in any case, with or without accents, in either spelling."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from shared.ids import new_token
from shared.models import User
from shared.transfers.queries import MIN_LETTERS
from tests.support.apps import RunningApp, Signed

Form = Literal["NFC", "NFD"]
_INVISIBLE = set("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


async def found(who: Signed, text: str) -> list[str]:
    answer = await who.get("/users", filter=text)
    assert answer.status_code == 200, answer.text
    return [each["wallet_id"] for each in answer.json()["items"]]


@pytest.mark.parametrize(
    ("name", "searches"),
    [
        ("José", ["José", "Jose\u0301", "JOSÉ", "jose", "JOS"]),
        ("Jose\u0301", ["José", "JOSE"]),
        ("ÉMILIE", ["émilie", "E\u0301milie", "emil"]),
        ("\u0958\u0932\u092e", ["\u0915\u093c\u0932\u092e", "\u0958\u0932"]),
        ("Straße", ["STRASSE", "strasse"]),
        ("Ørsted", ["orsted", "ØRSTED"]),
        ("Οδυσσεύς", ["ΟΔΥΣΣΕΥΣ", "οδυσσευς"]),
        ("100%_off", ["100%", "100%_O"]),
    ],
)
async def test_a_friend_is_found_however_the_name_is_typed(
    user_app: RunningApp, asha: Signed, name: str, searches: list[str]
) -> None:
    mark = new_token(6)
    friend = await user_app.person(mark, last_name=name)
    await user_app.person(mark, last_name="Else")
    for search in searches:
        assert await found(asha, f"{mark.upper()}  {search}") == [friend.wallet_id], search
        letters = sum(each.isalnum() for each in search)
        if letters >= MIN_LETTERS:
            assert friend.wallet_id in await found(asha, search[1:] if letters > MIN_LETTERS else search)


async def test_a_vowel_sign_is_no_accent(user_app: RunningApp, asha: Signed) -> None:
    mark = new_token(6)
    friend = await user_app.person("की", last_name=mark)
    assert await found(asha, f"की {mark}") == [friend.wallet_id]
    assert await found(asha, f"कि {mark}") == []
    assert await found(asha, f"क {mark}") == []


async def test_a_percent_sign_is_a_percent_sign(user_app: RunningApp, asha: Signed) -> None:
    mark = new_token(6)
    await user_app.person("Asha", last_name=mark)
    for text in (f"a%{mark}", f"asha_{mark}", f"\uff05{mark}"):
        assert await found(asha, text) == []


async def test_a_wallet_id_is_found_by_a_part_of_it(user_app: RunningApp, asha: Signed) -> None:
    friend = await user_app.person(f"Zz{new_token(8)}")
    local_part = friend.wallet_id.partition("@")[0]
    for text in (friend.wallet_id, local_part.upper(), local_part[1:], f"{local_part[-6:]}@batua"):
        assert friend.wallet_id in await found(asha, text), text
    assert (await asha.get("/users", filter="@batu")).status_code == 422


@given(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=12), st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_beginning_of_any_name_finds_it_in_either_spelling(
    user_app: RunningApp, asha: Signed, name: str, data: st.DataObject
) -> None:
    assume(not set(name) & _INVISIBLE)
    mark = new_token(8)
    friend = await user_app.person(mark)
    written = update(User).where(User.id == friend.id).values(last_name=f"a{name}").returning(User.last_name)
    async with user_app.sessionmaker.begin() as session:  # past the rules for names: any text may be there already
        stored = (await session.execute(written)).scalar_one()
    beginning = stored[: data.draw(st.integers(1, len(stored)))]
    form: Form = data.draw(st.sampled_from(["NFC", "NFD"]))
    assert await found(asha, unicodedata.normalize(form, f"{mark} {beginning}")) == [friend.wallet_id]


@pytest.mark.parametrize("search", ["jose", "JOSÉ", "Jose\u0301", "q\u0301", "QALAM", "\u0958\u0932\u092e", "strasse"])
async def test_a_note_and_a_shop_are_found_however_they_are_typed(
    asha: Signed, merchant_app: RunningApp, search: str
) -> None:
    shop = await merchant_app.shop("José Q́alam")
    await asha.send(shop.wallet_id, 100, note="\u0915\u093c\u0932\u092e Straße")
    answer = await asha.get("/transactions", q=search)
    assert len(answer.json()["items"]) == 1
    assert len((await asha.get("/transactions.csv", q=search)).text.splitlines()) == 2
    assert (await asha.get("/transactions", q="\u0915\u0932\u092e")).json()["items"] == [], "the nukta is a letter"


async def test_a_bank_is_found_by_its_name(asha: Signed) -> None:
    everything = (await asha.get("/transactions")).json()["items"]
    name = everything[0]["counterparty"]["name"]
    assert len((await asha.get("/transactions", q=name.upper())).json()["items"]) == 1
