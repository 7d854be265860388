"""A key that was used before a deployment still replays after it: its fingerprint and its stored row stay the same.

Each expected fingerprint was computed by the code before keyed operations were gathered in one table. One that must
change breaks every client that retries across the deployment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from shared import clock
from shared.models import IdempotencyKey, Owner
from tests.support.apps import PIN, RunningApp, Signed, problem
from tests.support.browsing import Browser, PageForm

ID = "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10"
STORED = {"id": ID, "amount": 1}
BOB, NOTHING, POT = "e88fed87a3808c8f", "74234e98afe7498f", "f9cc1749faa9f727"
"""The hashes of `bob@batua`, of null and of ID."""


@dataclass(frozen=True)
class Before:
    """A request that the code before had answered, and how that code told it from others."""

    path: str
    status: int
    body: dict[str, Any]
    fingerprint: str
    field_hashes: dict[str, str]

    async def remember(self, app: RunningApp, owner_id: UUID) -> str:
        """Leave in Postgres what that code left there; the key of the request."""
        async with app.sessionmaker.begin() as session:
            session.add(
                IdempotencyKey(
                    owner_id=owner_id,
                    key="before",
                    fingerprint=self.fingerprint,
                    field_hashes=self.field_hashes,
                    status=self.status,
                    body=STORED,
                    created_at=clock.now(),
                )
            )
        return "before"


TRANSFER = Before(
    "/transfers",
    201,
    {"to": "Bob@Batua", "amount": 50000, "note": " rent "},
    "41fb7cecdd8a832ceca17c9a598dd52110fa30d4ae0f74a9b464c1e786728766",
    {"to": BOB, "amount": "60734f174b2035e5", "note": "23d3c44d8dec5c2e", "from_account": NOTHING},
)
SMALLEST_TRANSFER = Before(
    "/transfers",
    201,
    {"to": "bob@batua", "amount": 1},
    "b8f7a1e363945cead1d32aaa5a45ac8ca39011460a6c89a66a968b88daa621a2",
    {"to": BOB, "amount": "6b86b273ff34fce1", "note": NOTHING, "from_account": NOTHING},
)
MOVE_BETWEEN_POTS = Before(
    "/transfers",
    201,
    {"to": ID.upper(), "amount": 50000, "from_account": ID.upper(), "note": "चाय"},
    "a13d1a44509387105077e8caf24708878e70ed9875a63f7cae703916ac398377",
    {"to": POT, "amount": "60734f174b2035e5", "note": "0edae24a59f5e5be", "from_account": POT},
)
MOVE_WITHOUT_NOTE = Before(
    "/transfers",
    201,
    {"to": ID, "amount": 50000, "from_account": ID},
    "16adf939b6237cccaba4a5e80b851713a9427893a4e84ee48c8f79587f0c4296",
    {"to": POT, "amount": "60734f174b2035e5", "note": NOTHING, "from_account": POT},
)
BULK = Before(
    "/transfers/bulk",
    200,
    {
        "items": [{"to": "Bob@Batua", "amount": 50000, "note": "rent"}, {"to": ID.upper(), "amount": 1}],
        "all_or_nothing": True,
    },
    "8637ae7fd565b2095b41386c6dfa024ebdd917ae926145fd83211da22e071aa1",
    {"items": "7c76ea5e660286e0", "all_or_nothing": "b5bea41b6c623f7c"},
)
SMALLEST_BULK = Before(
    "/transfers/bulk",
    200,
    {"items": [{"to": "bob@batua", "amount": 1}]},
    "34d32ca4163a19da12caa2208d5067c139f08e16a34a00de9d22b55b1a1cfcdf",
    {"items": "521bd102822de0e5", "all_or_nothing": "fcbcf165908dd18a"},
)
INITIAL_FUNDS = Before(
    "/system/initial-funds",
    201,
    {"to": "Alice@batua", "amount": 100000, "note": "hello"},
    "6cbce841851e4484c4d352e84a999f1c0fefa7d120ca68ab69f504b519bc0390",
    {"to": "dde4fd3ccac2d8b1", "amount": "3bb78535cc9555ff", "note": "5aa762ae383fbb72"},
)
ON_RAMP = Before(
    "/on-ramps",
    201,
    {"bank": "hdfc", "amount": 200000},
    "e1a2045ddc8ceb2effafc18d6ce8923a11b3b3e24903ae4166fadd78e738b696",
    {"bank": "1c08a96e27716018", "amount": "b552e632666bbf61"},
)
WITHDRAWAL = Before(
    "/withdrawals",
    202,
    {
        "bank": "hdfc",
        "account_number": "123456781234",
        "ifsc": "HDFC0000001",
        "account_holder": " Alice Rao ",
        "amount": 10000,
    },
    "a2e8af6e502a407b3d35e89f7d736a6935d2cf8add600cc0845f2a1e72fff9eb",
    {
        "bank": "1c08a96e27716018",
        "account_number": "dde42a354119b9ac",
        "ifsc": "b12db4d7c7428821",
        "account_holder": "939b37535b8b1683",
        "amount": "39e5b4830d4d9c14",
    },
)
# Text that is stored in another spelling than it is sent in.
SPELLED_TRANSFER = Before(
    "/transfers",
    201,
    {"to": "bob@batua", "amount": 50000, "note": "Jose\u0301 \u0958\u0932\u092e"},
    "1d88e8035b65ca6171ec5e386242de5b422b4768e1c2569e1c1a5ffed7c39788",
    {"to": BOB, "amount": "60734f174b2035e5", "note": "0a6d856b785c6f91", "from_account": NOTHING},
)
SPELLED_WITHDRAWAL = Before(
    "/withdrawals",
    202,
    WITHDRAWAL.body | {"account_holder": "Jose\u0301 Rao"},
    "975d556c7e9b6886d6d1e3f0e72e0c5956c2be2a91462eb2c83effffa5a7584e",
    WITHDRAWAL.field_hashes | {"account_holder": "583a7a3b41426f52"},
)
REFUND = Before(
    f"/transactions/{ID.upper()}/refund",
    201,
    {"amount": 5000, "note": "one samosa too many"},
    "fc2ef7c25d3f6b4fb99025908695b09cb44cebd9794543718cd9a58943ce826a",
    {"id": POT, "amount": "0f8eb4b72b6e0c9e", "note": "5b4d7d83a71d1c8b"},
)
WHOLE_REFUND = Before(
    f"/transactions/{ID.upper()}/refund",
    201,
    {},
    "068cf07227a24f5e29a4d0679b88b12bff5a4a3a52ab3a228c10841a7fc84550",
    {"id": POT, "amount": NOTHING, "note": NOTHING},
)


@pytest.mark.parametrize(
    "before",
    [
        *(TRANSFER, SMALLEST_TRANSFER, MOVE_BETWEEN_POTS, MOVE_WITHOUT_NOTE, BULK, SMALLEST_BULK, ON_RAMP, WITHDRAWAL),
        *(SPELLED_TRANSFER, SPELLED_WITHDRAWAL),
    ],
)
async def test_a_persons_request_replays(asha: Signed, user_app: RunningApp, before: Before) -> None:
    key = await before.remember(user_app, asha.id)
    secrets: dict[str, Any] = {} if before is ON_RAMP else {"pin": PIN}
    answer = await asha.post(before.path, key=key, **before.body, **secrets)
    assert (answer.status_code, answer.json()) == (before.status, STORED)
    assert answer.headers["idempotent-replayed"] == "true"


async def test_initial_funds_replay(user_app: RunningApp, asha: Signed) -> None:
    async with user_app.sessionmaker.begin() as session:
        await session.execute(update(Owner).where(Owner.id == asha.id).values(is_system=True))
    key = await INITIAL_FUNDS.remember(user_app, asha.id)
    answer = await asha.post(INITIAL_FUNDS.path, key=key, pin=PIN, **INITIAL_FUNDS.body)
    assert (answer.status_code, answer.json()) == (201, STORED)


@pytest.mark.parametrize("before", [REFUND, WHOLE_REFUND])
async def test_a_refund_replays(shop: Signed, merchant_app: RunningApp, before: Before) -> None:
    key = await before.remember(merchant_app, shop.id)
    answer = await shop.post(before.path, key=key, pin=PIN, **before.body)
    assert (answer.status_code, answer.json()) == (201, STORED)


async def test_a_withdrawal_that_differs_is_told_in_what(asha: Signed, user_app: RunningApp) -> None:
    key = await WITHDRAWAL.remember(user_app, asha.id)
    answer = await asha.post("/withdrawals", key=key, pin=PIN, **WITHDRAWAL.body | {"account_number": "123456781235"})
    refused = problem(answer, 422, "idempotency_key_reused")
    assert [error["field"] for error in refused["errors"]] == ["account_number"]


async def test_another_request_with_the_key_gets_the_fields_that_differ(asha: Signed, user_app: RunningApp) -> None:
    key = await TRANSFER.remember(user_app, asha.id)
    refused = problem(await asha.send("bob@batua", 7, key=key, note="rent"), 422, "idempotency_key_reused")
    assert [error["field"] for error in refused["errors"]] == ["amount"]


@pytest.mark.parametrize(
    ("form", "before"),
    [
        (PageForm("post", "/pots/move", {"to": ID, "from_account": ID, "amount": "500"}), MOVE_WITHOUT_NOTE),
    ],
)
async def test_a_form_sends_the_same_request_as_the_api(
    asha: Signed, user_app: RunningApp, form: PageForm, before: Before
) -> None:
    key = await before.remember(user_app, asha.id)
    answer = await Browser(asha).post(form, pin=PIN, idempotency_key=key)
    assert answer.headers["location"] == f"{before.path}/{ID}"


async def test_the_form_that_sends_and_its_review_send_the_same_request_as_the_api(
    asha: Signed, user_app: RunningApp
) -> None:
    await user_app.person("Bob")  # bob@batua exists from now on
    key = await TRANSFER.remember(user_app, asha.id)
    browser = Browser(asha)
    form = PageForm("post", "/send", {"to": "Bob@Batua", "amount": "500", "note": "rent"})
    review = await browser.submit(form, idempotency_key=key)
    answer = await browser.post(review.form("/send/review"), pin=PIN)
    assert answer.headers["location"] == f"{TRANSFER.path}/{ID}"


async def test_the_withdrawal_form_and_its_review_send_the_same_request_as_the_api(
    asha: Signed, user_app: RunningApp
) -> None:
    typed = WITHDRAWAL.body | {"amount": "100", "account_number_again": WITHDRAWAL.body["account_number"]}
    key = await WITHDRAWAL.remember(user_app, asha.id)
    browser = Browser(asha)
    review = await browser.submit(PageForm("post", "/withdraw", typed), idempotency_key=key)
    answer = await browser.post(review.form("/withdraw/review"), pin=PIN)
    assert answer.headers["location"] == f"{WITHDRAWAL.path}/{ID}"


async def test_the_refund_form_sends_the_same_request_as_the_api(shop: Signed, merchant_app: RunningApp) -> None:
    form = PageForm("post", f"/transactions/{ID}/refund", {"amount": "50", "note": "one samosa too many"})
    key = await REFUND.remember(merchant_app, shop.id)
    answer = await Browser(shop).post(form, pin=PIN, idempotency_key=key)
    assert answer.headers["location"] == f"/transactions/{ID}?refunded=1"
