from __future__ import annotations

import pytest

from services.bank_webhook.rejections import LINES_PER_WINDOW, REFUSED, WINDOW_SECONDS, RefusalLog


def test_every_refusal_is_counted_and_only_some_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    log = RefusalLog(lambda: now)
    before = REFUSED.labels("hdfc", "test_code")._value.get()
    for _ in range(LINES_PER_WINDOW + 5):
        log.note("hdfc", "test_code", "127.0.0.1")
    assert len(caplog.records) == LINES_PER_WINDOW
    now = WINDOW_SECONDS
    log.note("hdfc", "test_code", "127.0.0.1")
    assert "5 more refused" in caplog.text
    assert REFUSED.labels("hdfc", "test_code")._value.get() - before == LINES_PER_WINDOW + 6
