"""user_app and merchant_app on the real Postgres and Redis, with cheap hashes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from services.merchant_app.settings import MerchantAppSettings
from services.user_app.settings import UserAppSettings
from tests.support.auth_people import running
from tests.support.bank_settings import bank_values
from tests.support.number_keys import NUMBER_KEY
from tests.support.peppers import PEPPER

OLD_KEY, NEW_KEY = SecretStr("oldest-key-0123456789"), SecretStr("newest-key-0123456789")


@pytest.fixture
def user_settings(database_url: str, redis_url: str) -> UserAppSettings:
    return UserAppSettings(
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        token_keys=[NEW_KEY, OLD_KEY],
        pin_pepper=SecretStr(PEPPER),
        account_number_keys=[SecretStr(NUMBER_KEY)],
        bcrypt_rounds=4,
        refusal_delay_seconds=0,
        **bank_values(),
        user_app_url="http://127.0.0.1:1",
    )


@pytest.fixture
def merchant_settings(database_url: str, redis_url: str) -> MerchantAppSettings:
    return MerchantAppSettings(
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        token_keys=[NEW_KEY],
        pin_pepper=SecretStr(PEPPER),
        account_number_keys=[SecretStr(NUMBER_KEY)],
        bcrypt_rounds=4,
        refusal_delay_seconds=0,
        merchant_app_url="http://127.0.0.1:2",
    )


@pytest.fixture
async def users(user_settings: UserAppSettings, redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    """A client of user_app; Redis is emptied first."""
    async with running(user_settings) as client:
        yield client


@pytest.fixture
async def shops(merchant_settings: MerchantAppSettings, redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    """A client of merchant_app; Redis is emptied first."""
    async with running(merchant_settings) as client:
        yield client
