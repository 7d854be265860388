"""Whether Postgres answers is a question that always gets an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local import postgres
from infra.local.layout import Layout


def test_a_probe_that_does_not_end_says_that_nothing_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = tmp_path / "pg_isready"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o700)
    monkeypatch.setattr(postgres, "program", lambda name: tmp_path / name)
    monkeypatch.setattr(postgres, "_PROBE_TIMEOUT_SECONDS", 0.1)
    assert postgres.accepts_connections(Layout(tmp_path, 20000)) is False
