"""The grants name every table: one that is left out would be read-only, which shows only once a service writes it."""

from __future__ import annotations

from pathlib import Path

from infra.postgres import roles
from shared import models
from shared.db.base import Base


def test_every_table_of_the_schema_is_granted_to_a_service() -> None:
    assert models.__name__  # importing the models fills the metadata
    granted = Path(roles.__file__).with_name("roles.sql").read_text(encoding="utf-8")
    assert [name for name in sorted(Base.metadata.tables) if f"('{name}'," not in granted] == []
