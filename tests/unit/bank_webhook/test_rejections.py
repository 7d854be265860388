from __future__ import annotations

import pytest

from services.bank_webhook.metrics import REJECTED
from services.bank_webhook.rejections import LINES_PER_WINDOW, WINDOW_SECONDS, RejectionLog


def test_every_rejection_is_counted_and_only_some_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    log = RejectionLog(lambda: now)
    before = REJECTED.labels("hdfc", "test_code")._value.get()
    for _ in range(LINES_PER_WINDOW + 5):
        log.record("hdfc", "test_code", "127.0.0.1")
    assert len(caplog.records) == LINES_PER_WINDOW
    now = WINDOW_SECONDS
    log.record("hdfc", "test_code", "127.0.0.1")
    assert "5 more rejected" in caplog.text
    assert REJECTED.labels("hdfc", "test_code")._value.get() - before == LINES_PER_WINDOW + 6
