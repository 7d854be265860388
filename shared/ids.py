"""Identifiers: UUIDv7 (RFC 9562). Rows sort by the time they were created."""

from __future__ import annotations

import secrets
from datetime import datetime
from uuid import UUID

import uuid_utils
from uuid_utils.compat import uuid7

LAST_ID = UUID(int=2**128 - 1)
"""Comes after every id: a list from its newest item on is the list of what comes before it."""


def new_id() -> UUID:
    """A new UUIDv7, larger than the earlier ones of this process."""
    return uuid7()


def new_id_text() -> str:
    """The text of a new UUIDv7, at a tenth of the cost of `str(new_id())`: for what is only named, as a request is."""
    return str(uuid_utils.uuid7())


def smallest_id(at: datetime) -> UUID:
    """No larger than any UUIDv7 made at that millisecond: smaller ids are older."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def new_token(length_bytes: int = 24) -> str:
    """A random, URL-safe secret of `length_bytes` bytes of entropy."""
    return secrets.token_urlsafe(length_bytes)
