"""docs/operations.md says of every table what becomes of its rows."""

from __future__ import annotations

import re

from infra.local.layout import CHECKOUT
from shared.models import Owner


def test_every_table_is_named_under_what_grows() -> None:
    page = (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("## What grows")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    named = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(Owner.metadata.tables)
