"""`GET /users`: finding friends."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from shared.ids import new_token
from shared.models import Account
from tests.support.apps import RunningApp, Signed, problem


async def test_a_friend_is_shown_without_email(user_app: RunningApp, asha: Signed) -> None:
    name = "Zed" + "".join(letter for letter in new_token(12) if letter.isalpha())
    friend = await user_app.person(name)
    found = (await asha.get("/users", filter=name[1:-1].lower())).json()
    assert found == {
        "items": [{"id": str(friend.id), "first_name": name, "last_name": "Rao", "wallet_id": friend.wallet_id}],
        "next_cursor": None,
    }
    assert (await friend.get("/users", filter=name)).json()["items"] == []


async def test_pages_of_friends_do_not_overlap(user_app: RunningApp, asha: Signed) -> None:
    name = "Zed" + "".join(letter for letter in new_token(12) if letter.isalpha())
    friends = {(await user_app.person(name)).wallet_id for _ in range(3)}
    first = (await asha.get("/users", filter=name, limit=2)).json()
    second = (await asha.get("/users", filter=name, limit=2, cursor=first["next_cursor"])).json()
    assert len(first["items"]) == 2
    assert {person["wallet_id"] for person in first["items"] + second["items"]} == friends
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "text", [None, "", "  ", "as", "a b", "@batua", "as@", "e\u0301\u0301\u0301", "\u200b\ufe0f\ufe0f\ufe0fx"]
)
async def test_a_search_needs_three_letters(asha: Signed, text: str | None) -> None:
    problem(await asha.get("/users", **({} if text is None else {"filter": text})), 422, "filter_too_short")


async def test_a_filter_that_cannot_be_read_is_refused(asha: Signed) -> None:
    problem(await asha.get("/users", filter="x" * 65), 422, "invalid_request")
    problem(await asha.get("/users", filter="asha", cursor="%"), 422, "invalid_request")


async def test_a_whole_wallet_id_of_two_letters_is_enough(user_app: RunningApp, asha: Signed) -> None:
    friend = await user_app.person("Zq")
    handle = f"z{new_token(4).lower().strip('-_')[:1]}@batua"
    async with user_app.sessionmaker.begin() as session:
        await session.execute(update(Account).where(Account.owner_id == friend.id).values(handle=handle))
    found = (await asha.get("/users", filter=handle.upper())).json()["items"]
    assert [each["wallet_id"] for each in found] == [handle]
