"""Each of a bank's few addresses speaks for many people, so none is held to a share of the event loop."""

from __future__ import annotations

import httpx
import pytest

from tests.support.fair_share import networks_asked


async def test_a_bank_may_have_all_of_the_event_loop(bank: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = networks_asked(monkeypatch)
    assert (await bank.get("/healthz")).status_code == 200
    assert asked == [None]
