"""What a program reads of `batua demo`: whether the story held, and which step did not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.main import app
from infra.demo.actors import CheckFailed
from infra.demo.story import Story

NOWHERE = ["http://127.0.0.1:1"] * 4


@pytest.mark.parametrize(("failed", "exit_code"), [(None, 0), ("Bob has ₹200 left", 1)])
def test_the_story_is_told_on_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: str | None, exit_code: int
) -> None:
    def tell(story: Story) -> None:
        story._done("Alice tells")
        if failed is not None:
            raise CheckFailed(failed)

    monkeypatch.setattr(Story, "tell", tell)
    monkeypatch.delenv("BATUA_DATABASE_URL", raising=False)
    secrets = tmp_path / "secrets.env"
    secrets.write_text("BATUA_BANK_HDFC_API_KEY=a-key-of-the-simulator\n")
    told = CliRunner().invoke(app, ["demo", "--against", *NOWHERE, "--secrets", str(secrets), "--json"])
    assert told.exit_code == exit_code, told.output
    answer = json.loads(told.stdout)
    assert answer.pop("seconds") >= 0
    assert answer == {"ok": failed is None, "failed": failed}
    assert "Alice tells" in told.stderr
