"""Identifiers: UUIDv7 (RFC 9562). Rows sort by the time they were created."""

from __future__ import annotations

import secrets
from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A new UUIDv7, larger than the earlier ones of this process."""
    return UUID(int=uuid7().int)


def new_token(length_bytes: int = 24) -> str:
    """A random, URL-safe secret of `length_bytes` bytes of entropy."""
    return secrets.token_urlsafe(length_bytes)
