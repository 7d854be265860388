"""Real money in a real Postgres: balance before, held, after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import SessionMaker
from shared.db.transaction import SessionTransaction
from shared.errors import BatuaError
from shared.idempotency.claims import Answer, claim_for
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.accounts import account_of, open_account, wallet_of
from shared.ledger.errors import AccountNotFound, InsufficientFunds
from shared.ledger.post import Instruction, Replayed, post, post_instructions, post_one
from shared.ledger.rules import CaptureHold, PlaceHold, Posted, Rejected, ReleaseHold, Transfer
from shared.models import Account, Entry, Hold, IdempotencyKey, OutboxMessage
from shared.outbox.messages import Message
from tests.support.factories import create_merchant, create_user


async def balances(sessionmaker: SessionMaker, account: Account) -> tuple[int, int]:
    async with sessionmaker() as session:
        row = await session.get_one(Account, account.id)
        return row.balance, row.held


@contextmanager
def counting_statements(engine: AsyncEngine) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine.sync_engine, "before_cursor_execute", note)


async def test_a_hold_is_placed_captured_and_leaves_the_right_balances(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        wallet = await create_user(session, balance=1000)
    hold_id = new_id()
    async with sessionmaker.begin() as session:
        await post_one(session, PlaceHold(hold_id, wallet.id, 300))
    assert await balances(sessionmaker, wallet) == (1000, 300)

    payout = Transfer(new_id(), "payout", wallet.id, system_accounts.SETTLEMENT["hdfc"], 300)
    async with sessionmaker.begin() as session:
        posted = await post_one(session, CaptureHold(hold_id, payout))
    assert posted.balance_after(wallet.id) == 700
    assert await balances(sessionmaker, wallet) == (700, 0)
    async with sessionmaker() as session:
        hold = await session.get_one(Hold, hold_id)
        assert (hold.status, hold.transfer_id) == ("captured", payout.id)
        last = await session.scalar(select(Entry).where(Entry.transfer_id == payout.id, Entry.direction == "DEBIT"))
        assert last is not None
        assert (last.account_id, last.balance_after, last.seq) == (wallet.id, 700, 2)


async def test_a_released_hold_gives_the_money_back(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        wallet = await create_user(session, balance=1000)
    hold_id = new_id()
    async with sessionmaker.begin() as session:
        await post(session, [PlaceHold(hold_id, wallet.id, 300), ReleaseHold(hold_id, wallet.id)])
    assert await balances(sessionmaker, wallet) == (1000, 0)


async def test_a_rollback_undoes_the_posting(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        alice, bob = await create_user(session, balance=1000), await create_user(session)
    async with sessionmaker() as session:
        await post_one(session, Transfer(new_id(), "p2p", alice.id, bob.id, 400))
        await session.rollback()
    assert await balances(sessionmaker, alice) == (1000, 0)
    assert await balances(sessionmaker, bob) == (0, 0)


async def test_a_refusal_raises_its_error_and_writes_nothing(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        alice, bob = await create_user(session, balance=100), await create_user(session)
    async with sessionmaker.begin() as session:
        with pytest.raises(InsufficientFunds, match=r"₹2\.00 is more than the ₹1\.00 available"):
            await post_one(session, Transfer(new_id(), "p2p", alice.id, bob.id, 200))
        assert await post(session, []) == []
    assert await balances(sessionmaker, alice) == (100, 0)


async def test_a_refund_is_checked_against_what_was_refunded_before(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=1000), await create_merchant(session, balance=500)
    payment = Transfer(new_id(), "payment", buyer.id, shop.id, 300)

    def refund(amount: int) -> Transfer:
        return Transfer(new_id(), "refund", shop.id, buyer.id, amount, reverses=payment.id)

    async with sessionmaker.begin() as session:
        await post_one(session, payment)
    async with sessionmaker.begin() as session:
        await post_one(session, refund(200))
    async with sessionmaker.begin() as session:
        outcomes = await post(session, [refund(101), refund(100), refund(1)])
    assert [type(outcome) for outcome in outcomes] == [Rejected, Posted, Rejected]
    assert await balances(sessionmaker, buyer) == (1000, 0)


async def test_a_payment_and_its_refunds_may_be_posted_in_one_batch(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=1000), await create_merchant(session, balance=0)
    payment = Transfer(new_id(), "payment", buyer.id, shop.id, 300)
    refunds = [Transfer(new_id(), "refund", shop.id, buyer.id, 200, reverses=payment.id) for _ in range(2)]
    async with sessionmaker.begin() as session:
        outcomes = await post(session, [payment, *refunds])
    assert [type(outcome) for outcome in outcomes] == [Posted, Posted, Rejected]
    assert (await balances(sessionmaker, buyer), await balances(sessionmaker, shop)) == ((900, 0), (100, 0))


async def test_a_batch_of_any_size_takes_the_same_number_of_statements(
    sessionmaker: SessionMaker, engine: AsyncEngine
) -> None:
    async with sessionmaker.begin() as session:
        buyers = [await create_user(session, balance=1000) for _ in range(40)]
        shop = await create_merchant(session)
    counts = []
    for size in (1, 40):
        instructions = [pay(buyer, shop, key=f"{size}") for buyer in buyers[:size]]
        with counting_statements(engine) as seen:
            async with sessionmaker.begin() as session:
                outcomes = await post_instructions(SessionTransaction(session), instructions)
        assert all(isinstance(outcome, Posted) for outcome in outcomes)
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 8, seen


def pay(buyer: Account, shop: Account, *, key: str, amount: int = 10) -> Instruction:
    owner_id = buyer.owner_id
    assert owner_id is not None
    return Instruction(
        Transfer(new_id(), "payment", buyer.id, shop.id, amount, initiated_by=owner_id),
        claim_for(owner_id, key, method="POST", route="/transfers", body={"amount": amount, "pin": "1234"}),
        lambda posted: Answer(201, {"balance_after": posted.balance_after(buyer.id)}),
        lambda _posted: [Message("money_received", owner_id, {"amount": amount})],
    )


async def test_a_key_moves_money_once_and_its_answer_is_stored(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    for expected in (Posted, Replayed, Replayed):
        async with sessionmaker.begin() as session:
            (outcome,) = await post_instructions(SessionTransaction(session), [pay(buyer, shop, key="k")])
        assert isinstance(outcome, expected)
    assert isinstance(outcome, Replayed)
    assert outcome.answer == Answer(201, {"balance_after": 90}, is_replayed=True)
    assert await balances(sessionmaker, buyer) == (90, 0)
    async with sessionmaker() as session:
        mails = select(func.count()).select_from(OutboxMessage).where(OutboxMessage.owner_id == buyer.owner_id)
        assert await session.scalar(mails) == 1


async def test_a_key_that_comes_twice_in_one_batch_is_decided_once(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    batch = [
        pay(buyer, shop, key="k"),
        pay(buyer, shop, key="k"),
        pay(buyer, shop, key="k", amount=11),
        pay(buyer, shop, key="poor", amount=95),
        pay(buyer, shop, key="poor", amount=95),
    ]
    async with sessionmaker.begin() as session:
        outcomes = await post_instructions(SessionTransaction(session), batch)
    assert [type(outcome) for outcome in outcomes] == [Posted, Replayed, Rejected, Rejected, Rejected]
    codes = [outcome.error.code for outcome in outcomes if isinstance(outcome, Rejected)]
    assert codes == ["idempotency_key_reused", "insufficient_funds", "insufficient_funds"]
    async with sessionmaker.begin() as session:
        again = await post_instructions(
            SessionTransaction(session), [pay(buyer, shop, key="k"), pay(buyer, shop, key="k")]
        )
    assert [type(outcome) for outcome in again] == [Replayed, Replayed]
    assert await balances(sessionmaker, buyer) == (90, 0)


async def test_a_refusal_frees_its_key(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=5), await create_merchant(session)
    async with sessionmaker.begin() as session:
        (refused,) = await post_instructions(SessionTransaction(session), [pay(buyer, shop, key="k")])
    assert isinstance(refused, Rejected)
    async with sessionmaker.begin() as session:
        assert await session.get(IdempotencyKey, (buyer.owner_id, "k")) is None
        await post_one(session, Transfer(new_id(), "funding", system_accounts.FUNDING, buyer.id, 5))
    async with sessionmaker.begin() as session:
        (posted,) = await post_instructions(SessionTransaction(session), [pay(buyer, shop, key="k")])
    assert isinstance(posted, Posted)


async def test_another_body_under_a_used_key_names_what_differs(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    async with sessionmaker.begin() as session:
        await post_instructions(SessionTransaction(session), [pay(buyer, shop, key="k")])
    async with sessionmaker.begin() as session:
        (refused,) = await post_instructions(SessionTransaction(session), [pay(buyer, shop, key="k", amount=11)])
    assert isinstance(refused, Rejected)
    assert refused.error.facts() == {"fields": ["amount"]}


async def test_commands_without_a_key_are_posted(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        alice, bob = await create_user(session, balance=100), await create_user(session)
    plain = Instruction(Transfer(new_id(), "p2p", alice.id, bob.id, 60))
    short = Instruction(Transfer(new_id(), "p2p", alice.id, bob.id, 60))
    async with sessionmaker.begin() as session:
        outcomes = await post_instructions(SessionTransaction(session), [plain, short])
    assert [type(outcome) for outcome in outcomes] == [Posted, Rejected]
    with pytest.raises(ValueError, match="needs an answer"):
        Instruction(plain.command, claim_for(new_id(), "k", method="POST", route="/", body={}))


@pytest.mark.parametrize("table", ["transfers", "entries"])
@pytest.mark.parametrize("change", ["UPDATE {} SET amount = amount + 1", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_the_ledger_refuses_to_be_changed(sessionmaker: SessionMaker, table: str, change: str) -> None:
    async with sessionmaker() as session:
        with pytest.raises(DBAPIError, match="append-only"):
            await session.execute(text(change.format(table)))


async def test_the_database_itself_keeps_the_floor(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        wallet = await create_user(session, balance=100)
    for change in ("balance = -1", "held = 101", "held = -1"):
        async with sessionmaker() as session:
            with pytest.raises(DBAPIError, match="ck_accounts_"):
                await session.execute(text(f"UPDATE accounts SET {change} WHERE id = :id"), {"id": wallet.id})


async def test_an_account_of_another_owner_is_not_found(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        alice, bob = await create_user(session), await create_user(session)
        assert alice.owner_id is not None
        assert bob.owner_id is not None
        pot = await open_account(session, owner_id=alice.owner_id, kind="pot", name="Goa")
    async with sessionmaker() as session:
        assert (await wallet_of(session, alice.owner_id)).id == alice.id
        assert (await account_of(session, alice.owner_id, pot.id)).name == "Goa"
        for stranger in (bob.owner_id, new_id()):
            with pytest.raises(AccountNotFound) as refusal:
                await account_of(session, stranger, pot.id)
            assert isinstance(refusal.value, BatuaError)
        with pytest.raises(AccountNotFound):
            await account_of(session, alice.owner_id, new_id())
