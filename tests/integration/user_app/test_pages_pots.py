"""A pot has a name, a goal and an end. Money is in none that is closed."""

from __future__ import annotations

import asyncio
from uuid import UUID

import httpx
import pytest

from shared.ids import new_id
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.transfers import pots
from shared.transfers.errors import PotNotEmpty
from shared.transfers.pots import close_pot
from tests.support.apps import API, PIN, RunningApp, Signed, problem
from tests.support.browsing import Browser
from tests.support.waiting import until_a_lock_is_awaited


@pytest.fixture
def browser(asha: Signed) -> Browser:
    """Asha's, who has ₹1,000."""
    return Browser(asha)


@pytest.fixture
async def pot(asha: Signed) -> str:
    """The id of Asha's pot "Goa"."""
    return str((await asha.post("/accounts", name="Goa")).json()["id"])


async def close(app: RunningApp, owner: Signed, pot_id: str) -> None:
    async with app.sessionmaker.begin() as session:
        await close_pot(session, owner_id=UUID(str(owner.id)), pot_id=UUID(pot_id))


async def test_a_pot_is_renamed_and_shows_how_far_its_goal_is(browser: Browser, asha: Signed, pot: str) -> None:
    form = (await browser.open(f"/pots/{pot}")).form(f"/pots/{pot}")
    assert form.fields == {"name": "Goa", "goal": ""}
    await asha.send(pot, 250_00)
    saved = await browser.submit(form, name="Goa in May", goal="1,000")
    assert "₹750 more to reach ₹1,000" in saved.text
    assert "of ₹1,000" in (await browser.open("/pots")).text
    assert "Goa in May" in (await browser.open("/")).text
    without = await browser.submit(saved.form(f"/pots/{pot}"), goal="")
    assert "more to reach" not in without.text
    doubtful = await browser.submit(saved.form(f"/pots/{pot}"), goal="12,50")
    assert doubtful.status == httpx.codes.OK
    assert 'id="goal-error"' in doubtful.answer.text


async def test_two_open_pots_have_different_names_and_a_closed_one_gives_its_name_back(
    browser: Browser, asha: Signed, pot: str
) -> None:
    other = str((await asha.post("/accounts", name="Rent")).json()["id"])
    taken = await browser.submit((await browser.open(f"/pots/{other}")).form(f"/pots/{other}"), name="Goa")
    assert taken.status == httpx.codes.OK
    assert 'id="name-error"' in taken.answer.text
    await browser.submit((await browser.open(f"/pots/{pot}")).form(f"/pots/{pot}/close"))
    renamed = await browser.submit((await browser.open(f"/pots/{other}")).form(f"/pots/{other}"), name="Goa")
    assert renamed.status == httpx.codes.OK


async def test_a_pot_is_closed_when_its_money_is_back(
    browser: Browser, user_app: RunningApp, asha: Signed, pot: str
) -> None:
    close_form = (await browser.open(f"/pots/{pot}")).form(f"/pots/{pot}/close")
    await asha.send(pot, 250_00)
    full = await browser.open(f"/pots/{pot}")
    assert "move its money back first" in full.text
    refused = await browser.submit(close_form)
    assert refused.status == httpx.codes.OK
    assert "₹250.00 is in this pot" in refused.text

    back = full.answer.text.split('href="/pots?from_account=')[1].split('"')[0].replace("&amp;", "&")
    move = (await browser.open(f"/pots?from_account={back}")).form("/pots/move")
    assert (move.fields["from_account"], move.fields["amount"]) == (pot, "250")
    await browser.submit(move, pin=PIN)
    closed = await browser.submit((await browser.open(f"/pots/{pot}")).form(f"/pots/{pot}/close"))
    assert closed.path == "/pots"
    assert "Goa" not in closed.text
    assert pot not in (await browser.open("/")).answer.text
    assert (await browser.open(f"/pots/{pot}")).status == httpx.codes.FORBIDDEN
    assert [each["kind"] for each in (await asha.get("/accounts")).json()["items"]] == ["wallet"]
    problem(await asha.send(pot, 1_00), 403, "account_closed")
    await close(user_app, asha, pot)  # again changes nothing


async def test_a_pot_that_money_reaches_while_it_is_closed_stays_open(
    user_app: RunningApp, asha: Signed, pot: str
) -> None:
    wallet = UUID(str((await asha.wallet())["account_id"]))
    async with user_app.sessionmaker.begin() as session:
        await post_one(session, Transfer(new_id(), "p2p", wallet, UUID(pot), 1_00))
        closing = asyncio.create_task(close(user_app, asha, pot))
        await until_a_lock_is_awaited(user_app.sessionmaker)
    with pytest.raises(PotNotEmpty):
        await closing


async def test_a_transfer_that_waits_for_a_pot_to_be_closed_is_refused(
    user_app: RunningApp, asha: Signed, pot: str
) -> None:
    async with user_app.sessionmaker.begin() as session:
        await close_pot(session, owner_id=UUID(str(asha.id)), pot_id=UUID(pot))
        sending = asyncio.create_task(asha.send(pot, 1_00))
        await until_a_lock_is_awaited(user_app.sessionmaker)
    problem(await sending, 403, "account_closed")
    assert (await asha.wallet())["balance"] == 1_000_00


async def test_the_pot_of_another_person_is_not_there(browser: Browser, ravi: Signed, asha: Signed, pot: str) -> None:
    stranger, form = Browser(ravi), (await browser.open(f"/pots/{pot}")).form(f"/pots/{pot}")
    wallet = (await asha.wallet())["account_id"]
    for path in (f"/pots/{pot}", f"/pots/{wallet}"):
        assert (await stranger.open(path)).status == httpx.codes.NOT_FOUND
    assert (await browser.open(f"/pots/{wallet}")).status == httpx.codes.NOT_FOUND
    assert (await stranger.submit(form, name="Mine")).status == httpx.codes.NOT_FOUND
    form.action += "/close"
    assert (await stranger.submit(form)).status == httpx.codes.NOT_FOUND
    assert "Goa" in (await browser.open("/pots")).text


async def test_pots_that_are_opened_and_closed_again_and_again_come_to_an_end(
    user_app: RunningApp, asha: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pots, "MAX_POTS_EVER", 3)
    for _ in range(3):
        await close(user_app, asha, str((await asha.post("/accounts", name="Goa")).json()["id"]))
    problem(await asha.post("/accounts", name="Goa"), 409, "too_many_pots")


async def test_programs_rename_a_pot_give_it_a_goal_and_close_it(asha: Signed, ravi: Signed, pot: str) -> None:
    headers = {"Authorization": f"Bearer {asha.token}"}

    async def put(path: str, **body: object) -> httpx.Response:
        return await asha.client.put(f"{API}{path}", json=body, headers=headers)

    changed = (await put(f"/accounts/{pot}", name="Goa in May", goal=1500_00)).json()
    assert (changed["name"], changed["goal"]) == ("Goa in May", 1500_00)
    assert (await asha.get(f"/accounts/{pot}")).json() == changed
    assert (await put(f"/accounts/{pot}", name="Goa in May")).json()["goal"] is None
    problem(await put(f"/accounts/{(await asha.wallet())['account_id']}", name="Mine"), 404, "account_not_found")
    problem(await ravi.post(f"/accounts/{pot}/close", key=None), 404, "account_not_found")
    await asha.send(pot, 10_00)
    problem(await asha.post(f"/accounts/{pot}/close", key=None), 409, "pot_not_empty")
    await asha.send(asha.wallet_id, 10_00, from_account=pot)
    assert (await asha.post(f"/accounts/{pot}/close", key=None)).status_code == httpx.codes.NO_CONTENT
    problem(await put(f"/accounts/{pot}", name="Again"), 403, "account_closed")
