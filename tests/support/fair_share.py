"""Which networks an application takes its callers for."""

from __future__ import annotations

import pytest

from shared.http.fair_share import FairShare, SharedRequest


def networks_asked(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The network of each request from now on, while it is served as ever."""
    asked: list[str | None] = []
    original = FairShare.request_of

    def request_of(self: FairShare, network: str | None) -> SharedRequest:
        asked.append(network)
        return original(self, network)

    monkeypatch.setattr(FairShare, "request_of", request_of)
    return asked
