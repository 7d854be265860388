"""The wallet's statement is read by one gathered question, and answers byte for byte what its response model says."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from shared import clock
from shared.api.transactions import TransactionOut, transaction_of
from shared.auth.tokens import Tokens
from shared.http.pagination import Page, PageRequest, cursor_of
from shared.ids import new_id
from shared.ledger import statement, system_accounts
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer, TransferKind
from shared.transfers.errors import TransferNotFound
from shared.transfers.receipts import Receipts, get_receipt
from shared.transfers.views import Receipt
from tests.support.apps import API, RunningApp, Signed, problem

BOOKED: list[tuple[TransferKind, UUID, str | None]] = [
    ("onramp", system_accounts.SETTLEMENT["hdfc"], None),
    ("funding", system_accounts.FUNDING, "a \u202e note"),
    ("adjustment", system_accounts.SUSPENSE, '\u20b9 \u0906\u0936\u093e \U0001f600 "quoted" <b>&\\ \u2028 \x7f'),
]
QUERIES = [
    *("", "limit=1", "limit=100", "cursor=Mw", "limit=2&cursor=Mw", "limit=20", "limit=0", "limit=101", "limit=+5"),
    *("limit=05", "limit=5&limit=6", "limit=", "cursor=", "limit=5&", "&limit=5", "cursor=Mw&limit=2", "cursor=%4Dw"),
    *("cursor=x", "cursor=LTE", "cursor=Mw==", f"cursor={'M' * 257}", f"cursor={'M' * 256}", "limit=5;a", "page=2"),
    *("limit=5&kind=p2p", "q=", "account_id=x", "limit=1cursor=Mw", "LIMIT=5", "limit=\u0665", "limit=5&limit=0"),
]


async def account_of(who: Signed) -> UUID:
    return UUID((await who.wallet())["account_id"])


async def expected(app: RunningApp, who: Signed, *, limit: int, before_seq: int | None = None) -> bytes:
    """What the models make of what the filtered statement reads."""
    account_id = await account_of(who)
    async with app.sessionmaker() as session:
        found = await statement.read_page(session, account_id, limit=limit, before_seq=before_seq)
        items = [transaction_of(line) for line in found.lines]
    cursor = None if found.next_before is None else cursor_of(found.next_before)
    return Page[TransactionOut](items=items, next_cursor=cursor).model_dump_json().encode()


async def lives(app: RunningApp, asha: Signed, ravi: Signed, shop: Signed) -> None:
    """Lines of every kind, between people, a shop, pots, banks and the platform."""
    pot = (await asha.post("/accounts", name="Goa <3")).json()["id"]
    assert (await asha.send(pot, 3_00)).status_code == 201
    assert (await asha.send(asha.wallet_id, 1_00, from_account=pot)).status_code == 201
    assert (await asha.send(ravi.wallet_id, 20_00, note="chai")).status_code == 201
    assert (await asha.send(ravi.wallet_id, 50, from_account=pot)).status_code == 201
    assert (await ravi.send(asha.wallet_id, 2_00, note="caf\u00e9")).status_code == 201
    payments = [(await asha.send(shop.wallet_id, amount)).json()["id"] for amount in (5_00, 6_00, 7_00)]
    for payment, amount in ((payments[0], 5_00), (payments[1], 1_00), (payments[1], 2_00)):
        refund = await shop.post(f"/transactions/{payment}/refund", amount=amount, pin="4711")
        assert refund.status_code == 201, refund.text
    async with app.sessionmaker.begin() as session:
        for who in (asha, shop):
            for kind, system, note in BOOKED:
                await post_one(session, Transfer(new_id(), kind, system, await account_of(who), 9_00, note=note))
            bank = system_accounts.SETTLEMENT["axis"]
            await post_one(session, Transfer(new_id(), "payout", await account_of(who), bank, 4_00))
        for microsecond in (0, 120_000):
            moment = clock.now().replace(microsecond=microsecond) + timedelta(seconds=1)
            with clock.reading(partial(datetime.fromtimestamp, moment.timestamp(), UTC)):
                await post_one(session, Transfer(new_id(), "onramp", BOOKED[0][1], await account_of(asha), 9_00))


async def test_the_answer_is_what_the_model_says(
    user_app: RunningApp, asha: Signed, ravi: Signed, shop: Signed
) -> None:
    await lives(user_app, asha, ravi, shop)
    for who, lines in ((asha, 17), (ravi, 3), (shop, 10)):
        before_seq: int | None = None
        for limit in (1, 4, 100):
            cursor = {} if before_seq is None else {"cursor": cursor_of(before_seq)}
            answer = await who.get("/transactions", limit=limit, **cursor)
            wanted = await expected(user_app, who, limit=limit, before_seq=before_seq)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
            assert answer.content == wanted
            filtered = await who.get("/transactions", limit=limit, **cursor, **{"from": "1970-01-01"})
            assert filtered.content == wanted
            before_seq = PageRequest(1, answer.json()["next_cursor"]).after_number()
            if before_seq is None:
                break
        assert len((await who.get("/transactions", limit=100)).json()["items"]) >= lines


async def test_who_ask_at_one_moment_get_their_own_lines(
    user_app: RunningApp, asha: Signed, ravi: Signed, shop: Signed
) -> None:
    await lives(user_app, asha, ravi, shop)
    wanted = {who.token: await expected(user_app, who, limit=20) for who in (asha, ravi)}
    asked = [asha, ravi, asha, ravi, ravi] * 4
    answers = await asyncio.gather(*[who.get("/transactions") for who in asked])
    assert [answer.content for answer in answers] == [wanted[who.token] for who in asked]


async def test_a_query_is_read_alike_with_the_shortcut_and_without(asha: Signed, ravi: Signed) -> None:
    for amount in range(1, 4):
        await asha.send(ravi.wallet_id, amount)
    for query in QUERIES:
        # A body that is announced, though empty, sends the request the ordinary way.
        usual, other = [
            await asha.client.get(f"{API}/transactions?{query}", headers=asha._headers() | more)
            for more in ({}, {"Transfer-Encoding": "chunked", "Content-Type": "application/json"})
        ]
        assert (usual.status_code, usual.content) == (other.status_code, other.content), query


async def test_the_caller_is_refused_before_the_query(asha: Signed, user_app: RunningApp) -> None:
    tokens: Tokens = user_app.app.state.resources.tokens
    revoked = Signed(asha.client, asha.profile, tokens.issue(asha.id).token)
    assert (await revoked.post("/auth/logout", key=None)).status_code == 204
    for limit in (5, 0):
        problem(await revoked.get("/transactions", limit=limit), 401, "token_revoked")


async def test_one_reads_what_one_has_just_sent(asha: Signed, ravi: Signed) -> None:
    for amount in range(1, 20):
        sent, _ = await asyncio.gather(asha.send(ravi.wallet_id, amount), ravi.get("/transactions"))
        for who in (asha, ravi):
            assert (await who.get("/transactions", limit=1)).json()["items"][0]["id"] == sent.json()["id"]


async def test_an_account_without_lines_has_an_empty_page(ravi: Signed) -> None:
    assert (await ravi.get("/transactions")).content == b'{"items":[],"next_cursor":null}'


async def test_receipts_asked_for_at_one_moment_are_those_of_each_reader(
    user_app: RunningApp, asha: Signed, ravi: Signed, shop: Signed
) -> None:
    await lives(user_app, asha, ravi, shop)
    lines = {who.token: (await who.get("/transactions", limit=100)).json()["items"] for who in (asha, ravi)}
    ids = [line["id"] for line in lines[asha.token]] + [str(new_id())]
    asked = [(who, each) for each in ids for who in (asha, ravi)]
    receipts: Receipts = user_app.app.state.resources.receipts

    answers = await asyncio.gather(
        *[receipts.find(reader=who.id, transfer_id=UUID(each)) for who, each in asked], return_exceptions=True
    )

    for (who, each), receipt in zip(asked, answers, strict=True):
        own = {line["id"]: line for line in lines[who.token]}
        if each not in own:
            assert isinstance(receipt, TransferNotFound)
            continue
        assert isinstance(receipt, Receipt)
        line = own[each]
        assert (str(receipt.id), receipt.kind, receipt.amount) == (line["id"], line["kind"], line["amount"])
        is_between_own_accounts = line["kind"] == "p2p" and line["counterparty"]["wallet_id"] is None
        if not is_between_own_accounts:  # then the receipt tells of the account that pays
            assert (receipt.balance_after, receipt.note) == (line["balance_after"], line["note"])
        other = receipt.recipient if line["direction"] == "DEBIT" else receipt.sender
        assert (other.wallet_id, other.name) == (line["counterparty"]["wallet_id"], line["counterparty"]["name"])
        async with user_app.sessionmaker() as session:
            assert await get_receipt(session, reader=who.id, transfer_id=receipt.id) == receipt
