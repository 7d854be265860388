"""What the worker opens."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

from services.withdraw_worker.resources import open_resources
from services.withdraw_worker.settings import WorkerSettings
from shared.db.engine import SessionMaker
from tests.support.bank_flows import create_withdrawal
from tests.support.bank_settings import bank_values
from tests.support.factories import create_user
from tests.support.number_keys import NUMBER_KEY


async def test_the_last_look_before_a_payout_waits_for_no_session(
    database_url: str, sessionmaker: SessionMaker
) -> None:
    settings = WorkerSettings(
        database_url=SecretStr(database_url),
        database_pool_size=1,
        database_pool_timeout_seconds=0.1,
        redis_url="redis://127.0.0.1:1/0",
        **bank_values(),
        account_number_keys=[NUMBER_KEY],
        user_app_url="http://127.0.0.1:1",
        smtp_host="127.0.0.1",
        smtp_port=1,
    )
    async with sessionmaker.begin() as session:
        wallet = await create_user(session, balance=1_00)
        withdrawal = await create_withdrawal(session, wallet, 1_00, status="queued")
    async with open_resources(settings) as resources, resources.sessionmaker() as holds_the_only_one:
        await holds_the_only_one.execute(text("SELECT 1"))
        with pytest.raises(NoConnectionLeft):
            async with resources.sessionmaker() as another:
                await another.execute(text("SELECT 1"))
        assert not await resources.dispatcher._engine.freezes.stop(withdrawal.id, withdrawal.owner_id)
