"""Text is stored in one spelling (NFC), whichever was sent."""

from __future__ import annotations

import pytest

from shared.models import Transfer, Withdrawal
from tests.support.apps import PIN, RunningApp, Signed

JOSE, PEN = ("Jos\u00e9", "Jose\u0301"), ("\u0915\u093c\u0932\u092e", "\u0958\u0932\u092e")


@pytest.mark.parametrize(("stored", "sent"), [JOSE, PEN])
async def test_names_and_notes_are_answered_and_stored_composed(
    user_app: RunningApp, merchant_app: RunningApp, asha: Signed, stored: str, sent: str
) -> None:
    person = await user_app.person(sent, last_name=sent)
    assert (person.profile["first_name"], person.profile["last_name"]) == (stored, stored)
    shop = await merchant_app.shop(sent)
    assert shop.profile["business_name"] == stored
    pot = await asha.post("/accounts", key=None, name=sent)
    assert pot.json()["name"] == stored
    assert (await asha.post("/accounts", key=None, name=stored)).status_code == 409
    answer = (await asha.send(shop.wallet_id, 100, note=sent)).json()
    assert (answer["note"], answer["to"]["name"]) == (stored, stored)
    refund = await shop.post(f"/transactions/{answer['id']}/refund", note=sent, pin=PIN)
    bulk = await asha.post("/transfers/bulk", pin=PIN, items=[{"to": person.wallet_id, "amount": 1, "note": sent}])
    assert (refund.status_code, bulk.status_code) == (201, 200), refund.text + bulk.text
    lines = (await asha.get("/transactions")).json()["items"]
    assert [line["note"] for line in lines[:3]] == [stored] * 3
    async with user_app.sessionmaker() as session:
        assert (await session.get_one(Transfer, answer["id"])).note == stored


async def test_a_repeated_request_is_what_was_sent_and_another_spelling_is_another_request(asha: Signed) -> None:
    pot = (await asha.post("/accounts", key=None, name="Goa")).json()["id"]
    first = await asha.send(pot, 100, key="spelled", note=JOSE[1])
    again = await asha.send(pot, 100, key="spelled", note=JOSE[1])
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (await asha.send(pot, 100, key="spelled", note=JOSE[0])).json()["code"] == "idempotency_key_reused"


async def test_the_holder_of_a_bank_account_is_stored_composed(user_app: RunningApp, asha: Signed) -> None:
    answer = await asha.post(
        "/withdrawals",
        bank="hdfc",
        account_number="123456781234",
        ifsc="HDFC0000001",
        account_holder=f" {JOSE[1]} ",
        amount=100_00,
        pin=PIN,
    )
    assert answer.status_code == 202, answer.text
    async with user_app.sessionmaker() as session:
        assert (await session.get_one(Withdrawal, answer.json()["id"])).account_holder == JOSE[0]


async def test_a_shop_may_have_a_family_in_its_name(merchant_app: RunningApp) -> None:
    name = "Kulfi \U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert (await merchant_app.shop(name)).profile["business_name"] == name
