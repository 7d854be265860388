"""A frozen owner: nothing leaves by any way, what comes in is credited, and both apps say so."""

from __future__ import annotations

from typing import Any

import pytest

from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger import freezing
from tests.support.apps import PIN, Signed, problem
from tests.support.browsing import Browser
from tests.support.factories import create_user

BANK: dict[str, Any] = {
    "bank": "hdfc",
    "account_number": "123456781234",
    "ifsc": "HDFC0000001",
    "account_holder": "Asha Rao",
}
BANNER = "Your account is frozen."


async def freeze(sessionmaker: SessionMaker, who: Signed) -> None:
    async with sessionmaker.begin() as session:
        await freezing.freeze(session, who.id)


async def unfreeze(sessionmaker: SessionMaker, who: Signed) -> None:
    async with sessionmaker.begin() as session:
        await freezing.unfreeze(session, who.id)


@pytest.fixture
async def pot(asha: Signed) -> str:
    """Asha's, with ₹100."""
    pot = str((await asha.post("/accounts", key=None, name="Goa")).json()["id"])
    assert (await asha.send(pot, 100_00)).status_code == 201
    return pot


async def test_nothing_leaves_a_frozen_person(
    asha: Signed, ravi: Signed, shop: Signed, pot: str, sessionmaker: SessionMaker
) -> None:
    before = await asha.wallet()
    await freeze(sessionmaker, asha)
    assert await asha.wallet() == before | {"is_frozen": True}
    for answer in (
        await asha.send(ravi.wallet_id, 1),
        await asha.send(shop.wallet_id, 1),
        await asha.send(pot, 1),
        await asha.send(asha.wallet_id, 1, from_account=pot),
        await asha.send(ravi.wallet_id, 1, from_account=pot),
        await asha.post("/withdrawals", **BANK, amount=100, pin=PIN),
        await asha.post("/accounts", key=None, name="Another"),
    ):
        said = problem(answer, 403, "account_frozen")
        assert "no money can leave it" in said["detail"]
    items = [{"to": ravi.wallet_id, "amount": 1}, {"to": shop.wallet_id, "amount": 1}]
    bulk = (await asha.post("/transfers/bulk", items=items, pin=PIN)).json()["results"]
    assert [each["problem"]["code"] for each in bulk] == ["account_frozen"] * 2
    assert await asha.wallet() == before | {"is_frozen": True}


async def test_what_comes_in_is_credited_and_leaves_once_the_freeze_is_lifted(
    asha: Signed, ravi: Signed, shop: Signed, sessionmaker: SessionMaker
) -> None:
    payment = (await asha.send(shop.wallet_id, 300_00)).json()["id"]
    assert (await asha.send(ravi.wallet_id, 100_00)).status_code == 201
    await freeze(sessionmaker, asha)
    assert (await ravi.send(asha.wallet_id, 40_00)).status_code == 201
    refunded = await shop.post(f"/transactions/{payment}/refund", amount=50_00, pin=PIN)
    assert refunded.status_code == 201, refunded.text
    assert (await asha.wallet())["balance"] == 1000_00 - 300_00 - 100_00 + 40_00 + 50_00
    await unfreeze(sessionmaker, asha)
    assert (await asha.wallet())["is_frozen"] is False
    assert (await asha.send(ravi.wallet_id, 690_00)).status_code == 201


async def test_a_frozen_shop_is_paid_and_refunds_nothing(
    asha: Signed, shop: Signed, sessionmaker: SessionMaker
) -> None:
    payment = (await asha.send(shop.wallet_id, 300_00)).json()["id"]
    await freeze(sessionmaker, shop)
    problem(await shop.post(f"/transactions/{payment}/refund", pin=PIN), 403, "account_frozen")
    problem(await shop.post("/withdrawals", **BANK, amount=100, pin=PIN), 403, "account_frozen")
    assert (await asha.send(shop.wallet_id, 1_00)).status_code == 201
    assert (await shop.wallet())["balance"] == 301_00
    assert BANNER in (await Browser(shop).open("/")).text


async def test_a_repeat_of_what_was_sent_before_the_freeze_gets_its_first_answer(
    asha: Signed, ravi: Signed, sessionmaker: SessionMaker
) -> None:
    first = await asha.send(ravi.wallet_id, 1_00, key="before")
    await freeze(sessionmaker, asha)
    again = await asha.send(ravi.wallet_id, 1_00, key="before")
    assert (again.status_code, again.json()) == (201, first.json())


async def test_a_queued_withdrawal_can_be_cancelled_and_its_money_stays(
    asha: Signed, sessionmaker: SessionMaker
) -> None:
    withdrawal = (await asha.post("/withdrawals", **BANK, amount=100_00, pin=PIN)).json()["id"]
    await freeze(sessionmaker, asha)
    assert (await asha.post(f"/withdrawals/{withdrawal}/cancel", key=None)).status_code == 200
    wallet = await asha.wallet()
    assert (wallet["balance"], wallet["held"]) == (1000_00, 0)


async def test_pages_say_it_in_plain_words(asha: Signed, ravi: Signed, sessionmaker: SessionMaker) -> None:
    await asha.send(ravi.wallet_id, 1_00)
    browser = Browser(asha)
    assert BANNER not in (await browser.open("/")).text
    await freeze(sessionmaker, asha)
    for path in ("/", "/send", "/withdraw", "/profile"):
        assert BANNER in (await browser.open(path)).text
    form = (await browser.open(f"/send?to={ravi.wallet_id}")).form("/send")
    refused = await browser.submit(form, amount="1", pin=PIN)
    assert "This account is frozen: no money can leave it" in refused.text


async def test_the_platforms_own_user_and_a_stranger_are_not_frozen(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        platform = await create_user(session, is_system=True)
        assert platform.owner_id is not None
        with pytest.raises(freezing.PlatformsOwnUser):
            await freezing.freeze(session, platform.owner_id)
        with pytest.raises(freezing.OwnerNotFound):
            await freezing.freeze(session, new_id())
