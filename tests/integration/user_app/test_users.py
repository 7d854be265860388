"""`GET /users`: finding friends."""

from __future__ import annotations

from shared.ids import new_token
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


async def test_an_empty_search_lists_all_people_page_by_page(asha: Signed, ravi: Signed) -> None:
    for filters in ({}, {"filter": ""}, {"filter": "  "}):
        page = (await asha.get("/users", limit=1, **filters)).json()
        assert len(page["items"]) == 1
        assert page["items"][0]["id"] != str(asha.id)
    problem(await asha.get("/users", filter="x" * 65), 422, "invalid_request")
    problem(await asha.get("/users", cursor="%"), 422, "invalid_request")
