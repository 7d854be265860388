"""Money that moved is counted once, and only when it is committed."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger.post import post_one
from shared.ledger.rules import CaptureHold, PlaceHold, Transfer
from shared.ledger.system_accounts import SETTLEMENT
from tests.support.factories import create_user


def counted(kind: str) -> tuple[float, float]:
    """Movements and paise."""
    labels = {"kind": kind}
    movements = REGISTRY.get_sample_value("batua_money_movements_total", labels)
    return movements or 0, REGISTRY.get_sample_value("batua_money_moved_paise_total", labels) or 0


async def test_what_is_rolled_back_is_not_counted_and_what_is_committed_once(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        payer, payee = await create_user(session, balance=100_00), await create_user(session)
    before = counted("p2p")
    transfer = Transfer(new_id(), "p2p", payer.id, payee.id, 30_00)
    async with sessionmaker() as session:
        await post_one(session, transfer)
        await session.rollback()
        assert counted("p2p") == before
        await post_one(session, transfer)
        assert counted("p2p") == before
        await session.commit()
        await session.commit()
    assert counted("p2p") == (before[0] + 1, before[1] + 30_00)


async def test_a_hold_moves_nothing_until_it_is_captured(sessionmaker: SessionMaker) -> None:
    before = counted("payout")
    async with sessionmaker.begin() as session:
        wallet = await create_user(session, balance=100_00)
        hold = PlaceHold(new_id(), wallet.id, 40_00, "INR")
        await post_one(session, hold)
    assert counted("payout") == before
    payout = Transfer(new_id(), "payout", wallet.id, SETTLEMENT["hdfc"], 40_00)
    async with sessionmaker.begin() as session:
        await post_one(session, CaptureHold(hold.hold_id, payout))
    assert counted("payout") == (before[0] + 1, before[1] + 40_00)


async def test_a_transaction_that_fails_to_commit_counts_nothing(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        payer, payee = await create_user(session, balance=100_00), await create_user(session)
    before = counted("p2p")

    async def fail() -> None:
        async with sessionmaker.begin() as session:
            await post_one(session, Transfer(new_id(), "p2p", payer.id, payee.id, 30_00))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert counted("p2p") == before
