"""Each of a bank's few addresses speaks for many people, so none is held to a share of the event loop."""

from __future__ import annotations

import httpx
import pytest

from shared.http.fair_share import FairShare, SharedRequest


async def test_a_bank_may_have_all_of_the_event_loop(bank: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def request_of(self: FairShare, network: str | None) -> SharedRequest:
        asked.append(network)
        return original(self, network)

    original = FairShare.request_of
    monkeypatch.setattr(FairShare, "request_of", request_of)
    assert (await bank.get("/healthz")).status_code == 200
    assert asked == [None]
