"""After a failure nothing is tried for the seconds of the cool-down."""

from __future__ import annotations

import time

import pytest

from shared.redis.cool_down import CoolDown


def test_a_cool_down_starts_with_a_failure_and_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    resting = CoolDown(2.0)
    assert resting.is_over
    resting.start()
    now += 1.99
    assert not resting.is_over
    now += 0.01
    assert resting.is_over
