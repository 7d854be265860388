"""Both apps and the bank webhook in the process of a test, on connections to Postgres that fail where it chooses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import func, select

from services.bank_webhook.main import create_app as create_webhook
from services.bank_webhook.settings import BankWebhookSettings
from shared.db.engine import SessionMaker
from shared.models import Account
from shared.owner_quotas import OwnerQuotas
from tests.support.apps import RunningApp, Signed, merchant_app_settings, opened, running, user_app_settings
from tests.support.bank_notices import SignedRequest, webhook_values
from tests.support.database_faults import Faults, faulty_engines


@dataclass
class World:
    """Both apps and the webhook on connections that meet `faults`, and a healthy `sessionmaker` to look with."""

    user_app: RunningApp
    merchant_app: RunningApp
    webhook: httpx.AsyncClient
    faults: Faults
    sessionmaker: SessionMaker
    bank_url: str

    async def account(self, who: Signed) -> Account:
        """The wallet's row."""
        found: Account = await self.one(Account, Account.owner_id == who.id, Account.kind.in_(["wallet", "merchant"]))
        return found

    async def one(self, table: Any, *where: Any) -> Any:
        """The only such row."""
        async with self.sessionmaker() as session:
            return (await session.scalars(select(table).where(*where))).one()

    async def count(self, table: Any, *where: Any) -> int:
        """How many such rows there are."""
        async with self.sessionmaker() as session:
            return int(await session.scalar(select(func.count()).select_from(table).where(*where)) or 0)

    async def tell(self, told: Sequence[SignedRequest]) -> int:
        """Deliver the newest of the bank's notices."""
        request = told[-1]
        return (await self.webhook.post(request.path, content=request.body, headers=request.headers)).status_code

    async def change(self, statement: Any) -> None:
        """Change rows, on a healthy connection."""
        async with self.sessionmaker.begin() as session:
            await session.execute(statement)


@asynccontextmanager
async def faulty_world(
    sessionmaker: SessionMaker, database_url: str, redis_url: str, bank_url: str
) -> AsyncIterator[World]:
    """Connections of the pools are made within the block, and so are those that take the place of a lost one."""
    quotas = OwnerQuotas(bulk_per_minute=1000, withdrawals_per_ten_seconds=1000)
    webhook_app = create_webhook(BankWebhookSettings(**webhook_values(database_url)))
    with faulty_engines("user_app", "merchant_app", "bank_webhook") as faults:
        async with (
            running(user_app_settings(database_url, redis_url, bank_url, quotas=quotas)) as user_app,
            running(merchant_app_settings(database_url, redis_url)) as merchant_app,
            opened(webhook_app, "http://webhook.test") as webhook,
        ):
            yield World(user_app, merchant_app, webhook, faults, sessionmaker, bank_url)
            faults.end()
