"""The webhook as a bank sees it: over HTTP, in front of a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from services.bank_webhook.main import create_app
from services.bank_webhook.settings import BankWebhookSettings
from tests.support.bank_notices import webhook_values
from tests.support.deadlines import deadline
from tests.support.serving import serving


@pytest.fixture(scope="module")
def settling_url(database_url: str) -> Iterator[str]:
    """A running webhook on this worker's database."""
    with serving(create_app(BankWebhookSettings(**webhook_values(database_url)))) as url:
        yield url


@pytest.fixture
async def bank(settling_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that calls it."""
    async with httpx.AsyncClient(base_url=settling_url, trust_env=False, timeout=deadline(30)) as client:
        yield client
