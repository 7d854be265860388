"""The schema has one history: each migration has a number of its own, and follows the one before it."""

from __future__ import annotations

import re
from pathlib import Path

from infra.local.layout import CHECKOUT

VERSIONS = CHECKOUT / "shared" / "migrations" / "versions"


def stated(file: Path, name: str) -> str | None:
    found = re.search(rf'^{name} = (?:"([0-9]+)"|None)$', file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert found, f"{file.name} states no {name}"
    return found[1]


def test_each_migration_follows_the_one_before() -> None:
    files = sorted(VERSIONS.glob("[0-9]*.py"))
    before = None
    for file in files:
        number = file.name.partition("_")[0]
        assert stated(file, "revision") == number, file.name
        assert stated(file, "down_revision") == before, (
            f"{file.name} must follow {before}: give it the next free number"
        )
        before = number
    assert before is not None
