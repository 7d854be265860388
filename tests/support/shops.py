"""Shops of the inflow tests, and what people pay them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import pytest

from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.inflow import commands
from shared.ledger import system_accounts
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer, TransferKind
from shared.models import Account
from tests.support import factories


async def pay(
    sessionmaker: SessionMaker, shop: UUID, amount: int, at: datetime, kind: TransferKind = "payment"
) -> None:
    with clock.reading(lambda: at):
        async with sessionmaker.begin() as session:
            await post_one(session, Transfer(new_id(), kind, system_accounts.FUNDING, shop, amount))


async def open_shop(sessionmaker: SessionMaker, zone: str = "Asia/Kolkata") -> Account:
    async with sessionmaker.begin() as session:
        return await factories.create_merchant(session, timezone=zone)


def owner_of(account: Account) -> UUID:
    assert account.owner_id is not None
    return account.owner_id


async def roll_up(sessionmaker: SessionMaker, account_id: UUID) -> int:
    async with sessionmaker.begin() as session:
        return await commands.roll_up(session, account_id)


@contextmanager
def rolling_up_at_most(entries: int) -> Iterator[None]:
    """A roll-up takes this many entries, instead of thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "ENTRIES_PER_ROLL_UP", entries)
        yield
