"""Settings of the small service, on the real Postgres and Redis."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from shared.runtime.resources import AccountSettings
from tests.support.number_keys import NUMBER_KEY
from tests.support.peppers import PEPPER


@pytest.fixture
def settings(database_url: str, redis_url: str) -> AccountSettings:
    return AccountSettings(
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        token_keys=[SecretStr("newest-key-0123456789")],
        pin_pepper=SecretStr(PEPPER),
        account_number_keys=[SecretStr(NUMBER_KEY)],
        bcrypt_rounds=4,
    )
