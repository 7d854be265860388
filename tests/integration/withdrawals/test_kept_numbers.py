"""Account numbers in Postgres: encrypted, read by the worker alone, and rows of the version before are read as well."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from shared.banks.client import BankClient
from shared.banks.messages import PayoutAnswer, PayoutRequest
from shared.banks.number_keys import NumberKeys, NumberUnreadable
from shared.config import MovementLimits
from shared.db.engine import SessionMaker
from shared.http.keyed_requests import WITHDRAW
from shared.idempotency.claims import Answer
from shared.idempotency.errors import IdempotencyKeyReused
from shared.idempotency.marks import Marks
from shared.models import Account, IdempotencyKey, Withdrawal
from shared.withdrawals import commands
from shared.withdrawals.backfill import Backfill
from shared.withdrawals.kept_numbers import KeptNumber
from shared.withdrawals.queries import get_destination, list_destinations
from shared.withdrawals.views import Destination
from tests.support.bank_flows import create_withdrawal
from tests.support.factories import create_user
from tests.support.number_keys import NUMBER_KEYS, ONLY_NEWER, ROTATED
from tests.support.withdrawal_world import ACCOUNT_NUMBER, World, owner_of

MASKED = "XXXXXX1234"


async def write_as_the_version_before(world: World, withdrawal_id: UUID) -> None:
    await world.change(
        withdrawal_id, account_number=ACCOUNT_NUMBER, account_number_encrypted=None, account_number_index=None
    )


async def destinations(sessionmaker: SessionMaker, wallet: Account, keys: NumberKeys = ROTATED) -> list[Destination]:
    async with sessionmaker() as session:
        return await list_destinations(session, owner_id=owner_of(wallet), limit=5, number_keys=keys)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[PayoutRequest]:
    """What is sent to banks, which keep no account number."""
    requests: list[PayoutRequest] = []
    pay = BankClient.pay

    async def remembered(client: BankClient, request: PayoutRequest) -> PayoutAnswer:
        requests.append(request)
        return await pay(client, request)

    monkeypatch.setattr(BankClient, "pay", remembered)
    return requests


async def test_a_new_row_has_no_whole_number_and_the_bank_gets_it(world: World, sent: list[PayoutRequest]) -> None:
    wallet = await world.person()
    withdrawal_id = await world.ask(wallet)
    async with world.sessionmaker() as session:
        row = await session.scalar(
            text("SELECT to_jsonb(withdrawals)::text FROM withdrawals WHERE id = :id"), {"id": withdrawal_id}
        )
    assert ACCOUNT_NUMBER not in row
    assert MASKED in row
    await world.engine.advance(owner_of(wallet))
    assert (await world.row(withdrawal_id)).status == "succeeded"
    (request,) = sent
    assert request.account_number == ACCOUNT_NUMBER


async def test_a_row_of_the_version_before_is_paid_out(world: World, sent: list[PayoutRequest]) -> None:
    wallet = await world.person()
    withdrawal_id = await world.ask(wallet)
    await write_as_the_version_before(world, withdrawal_id)
    await world.engine.advance(owner_of(wallet))
    assert (await world.row(withdrawal_id)).status == "succeeded"
    assert world.paid_out(withdrawal_id) == 100_00
    assert [request.account_number for request in sent] == [ACCOUNT_NUMBER]


@pytest.mark.parametrize("changed", [{"ifsc": "HDFC0009999"}, {"bank": "axis"}], ids=["ifsc", "bank"])
async def test_a_row_whose_destination_was_changed_is_not_paid_out(world: World, changed: dict[str, str]) -> None:
    wallet = await world.person()
    withdrawal_id = await world.ask(wallet)
    await world.change(withdrawal_id, **changed)
    await world.engine.advance(owner_of(wallet), max_calls=2)
    assert (await world.row(withdrawal_id)).status == "waiting"
    assert await world.money(wallet) == (1_000_00, 100_00)
    assert world.calls(withdrawal_id) == []


async def test_a_number_that_was_copied_from_another_row_is_not_paid_to(world: World) -> None:
    own, strangers = [await world.ask(await world.person()) for _ in range(2)]
    stranger = await world.row(strangers)
    await world.change(own, account_number_encrypted=stranger.account_number_encrypted)
    row = await world.row(own)
    await world.engine.advance(row.owner_id, max_calls=2)
    assert (await world.row(own)).status == "waiting"
    assert world.calls(own) == []


async def test_a_payout_waits_for_its_key_and_leaves_when_the_key_is_back(world: World) -> None:
    wallet = await world.person()
    withdrawal_id = await world.ask(wallet)
    await replace(world.engine, number_keys=ONLY_NEWER).advance(owner_of(wallet), max_calls=2)
    assert (await world.row(withdrawal_id)).status == "waiting"
    assert world.calls(withdrawal_id) == []
    await world.work_until_status([withdrawal_id], "succeeded")
    assert world.paid_out(withdrawal_id) == 100_00


async def test_a_whole_number_beside_an_encrypted_one_is_refused(world: World) -> None:
    withdrawal_id = await world.ask(await world.person())
    with pytest.raises(IntegrityError, match="number_encrypted_whole"):
        await world.change(withdrawal_id, account_number=ACCOUNT_NUMBER)


async def test_an_account_is_offered_once_however_its_rows_keep_it(world: World) -> None:
    wallet = await world.person(10_000_00)
    before, with_old_key, newest = [await world.ask(wallet) for _ in range(3)]
    await write_as_the_version_before(world, before)
    row = await world.row(newest)
    place = KeptNumber.of(row).place
    await world.change(
        newest,
        account_number_encrypted=ROTATED.encrypt(ACCOUNT_NUMBER, place=place),
        account_number_index=ROTATED.index(ACCOUNT_NUMBER),
    )
    (offered,) = await destinations(world.sessionmaker, wallet)
    assert (offered.withdrawal_id, offered.account_number) == (newest, ACCOUNT_NUMBER)
    for withdrawal_id in (before, with_old_key, newest):
        async with world.sessionmaker() as session:
            found = await get_destination(
                session, owner_id=owner_of(wallet), withdrawal_id=withdrawal_id, number_keys=ROTATED
            )
        assert found.account == offered.account


async def test_what_cannot_be_read_is_not_offered(world: World) -> None:
    wallet = await world.person()
    withdrawal_id = await world.ask(wallet)
    assert await destinations(world.sessionmaker, wallet, ONLY_NEWER) == []
    async with world.sessionmaker() as session:
        with pytest.raises(NumberUnreadable):
            await get_destination(
                session, owner_id=owner_of(wallet), withdrawal_id=withdrawal_id, number_keys=ONLY_NEWER
            )


async def ask_under_a_key(world: World, wallet: Account, keys: NumberKeys = NUMBER_KEYS, amount: int = 1_00) -> Answer:
    return await commands.request(
        WITHDRAW.request(owner_of(wallet), "one"),
        bank="hdfc",
        account_number=ACCOUNT_NUMBER,
        ifsc="HDFC0001234",
        account_holder="Asha Rao",
        amount=amount,
        sessionmaker=world.sessionmaker,
        marks=Marks(world.sessionmaker),
        number_keys=keys,
        limits=MovementLimits(),
        max_unfinished=100,
        requires_verified_email=False,
    )


async def hashes_of(world: World, wallet: Account) -> IdempotencyKey:
    async with world.sessionmaker() as session:
        return await session.get_one(IdempotencyKey, (owner_of(wallet), "one"))


async def test_a_number_cannot_be_found_out_from_what_its_idempotency_key_keeps(world: World) -> None:
    wallet = await world.person()
    await ask_under_a_key(world, wallet)
    kept_with_key = await hashes_of(world, wallet)
    guessed = WITHDRAW.request(owner_of(wallet), "one").claim(
        bank="hdfc", account_number=ACCOUNT_NUMBER, ifsc="HDFC0001234", account_holder="Asha Rao", amount=1_00
    )
    tried = kept_with_key.field_hashes
    assert {name for name, value in guessed.field_hashes.items() if tried[name] != value} == {"account_number"}
    assert kept_with_key.fingerprint != guessed.fingerprint


async def test_a_repeat_after_a_rotation_gets_the_first_answer(world: World) -> None:
    wallet = await world.person()
    first = await ask_under_a_key(world, wallet)
    again = await ask_under_a_key(world, wallet, ROTATED)
    assert (again.body, again.is_replayed) == (first.body, True)
    for keys in (NUMBER_KEYS, ROTATED):
        with pytest.raises(IdempotencyKeyReused) as refused:
            await ask_under_a_key(world, wallet, keys, amount=2_00)
        assert refused.value.fields == ["amount"]


async def a_history(sessionmaker: SessionMaker, rows: int) -> list[UUID]:
    """Withdrawals as the version before left them."""
    async with sessionmaker.begin() as session:
        wallet = await create_user(session, balance=1_000_00)
        return [(await create_withdrawal(session, wallet, 1_00)).id for _ in range(rows)]


async def kept(sessionmaker: SessionMaker) -> dict[UUID, Withdrawal]:
    async with sessionmaker() as session:
        return {row.id: row for row in await session.scalars(select(Withdrawal))}


async def test_the_backfill_encrypts_all_and_then_moves_all_to_a_newer_key(fresh_sessionmaker: SessionMaker) -> None:
    history = await a_history(fresh_sessionmaker, 7)
    seen: list[tuple[int, int]] = []
    first = Backfill(fresh_sessionmaker, NUMBER_KEYS, batch=3)
    await first.run(lambda *progress: seen.append(progress))
    assert (first.encrypted, first.unreadable) == (7, [])
    assert seen[:5] == [(0, 7), (3, 7), (6, 7), (7, 7), (7, 7)]
    rows = await kept(fresh_sessionmaker)
    assert {row.account_number for row in rows.values()} == {"XXXXXX9012"}
    assert len({row.account_number_encrypted for row in rows.values()}) == 7
    assert len({row.account_number_index for row in rows.values()}) == 1
    again = Backfill(fresh_sessionmaker, NUMBER_KEYS)
    await again.run()
    assert again.encrypted == 0
    rotated = Backfill(fresh_sessionmaker, ROTATED, batch=3)
    await rotated.run()
    assert rotated.encrypted == 7
    rows = await kept(fresh_sessionmaker)
    assert [KeptNumber.of(rows[one]).whole(ONLY_NEWER) for one in history] == ["123456789012"] * 7
    assert {row.account_number_index for row in rows.values()} == {ONLY_NEWER.index("123456789012")}


async def test_a_backfill_that_was_interrupted_goes_on_and_names_what_it_cannot_read(
    fresh_sessionmaker: SessionMaker,
) -> None:
    history = await a_history(fresh_sessionmaker, 5)

    def interrupt(done: int, _: int) -> None:
        if done:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await Backfill(fresh_sessionmaker, NUMBER_KEYS, batch=2).run(interrupt)
    damaged = history[3]
    async with fresh_sessionmaker.begin() as session:
        await session.execute(update(Withdrawal).where(Withdrawal.id == damaged).values(account_number="XXXXXX9012"))
    second = Backfill(fresh_sessionmaker, NUMBER_KEYS, batch=2)
    await second.run()
    assert (second.encrypted, second.unreadable) == (2, [damaged])


async def test_payouts_go_on_while_the_backfill_runs(world_alone: World) -> None:
    world = world_alone
    wallets = [await world.person() for _ in range(4)]
    asked = [await world.ask(wallet) for wallet in wallets]
    for withdrawal_id in asked:
        await write_as_the_version_before(world, withdrawal_id)
    backfill = Backfill(world.sessionmaker, NUMBER_KEYS, batch=1)
    await asyncio.gather(backfill.run(), world.work_until_status(asked, "succeeded"))
    rows = await kept(world.sessionmaker)
    assert backfill.encrypted == 4
    assert {rows[one].account_number for one in asked} == {MASKED}
    assert [world.paid_out(one) for one in asked] == [100_00] * 4
