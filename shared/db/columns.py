"""Columns that hold one value of a StrEnum, and the same values written into SQL."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Generic, TypeVar

from sqlalchemy import Dialect, String
from sqlalchemy.types import TypeDecorator

Member = TypeVar("Member", bound=StrEnum)


class EnumText(TypeDecorator[Member], Generic[Member]):
    """Text in the database, a member of `members` in Python. The table's check constraint lists the same values."""

    impl = String
    cache_ok = True

    def __init__(self, members: type[Member]) -> None:
        super().__init__()
        self.members = members

    def process_bind_param(self, value: Member | str | None, _: Dialect) -> str | None:
        """The value as stored. Raises ValueError for one that is no member."""
        return None if value is None else self.members(value).value

    def process_result_value(self, value: str | None, _: Dialect) -> Member | None:
        """The member that the stored value names. Raises ValueError when there is none."""
        return None if value is None else self.members(value)


def sql_values(members: Iterable[StrEnum]) -> str:
    """`('queued', 'waiting')`, for SQL text: these are constants of the code, never what a caller sent."""
    return "(" + ", ".join(f"'{member.value}'" for member in members) + ")"
