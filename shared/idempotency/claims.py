"""What an idempotency key stands for: one request of one owner, and its answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from json.encoder import encode_basestring
from typing import Any
from uuid import UUID

from pydantic_core import PydanticSerializationError, to_json

SECRET_FIELDS = frozenset({"pin"})
"""Fields that are checked before the key is claimed, and never stored, hashed or logged."""

_HASH_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Claim:
    """A request under its key. Two claims of one key are the same request if their fingerprints are equal."""

    owner_id: UUID
    key: str
    fingerprint: str
    field_hashes: Mapping[str, str]
    other_forms: tuple[Claim, ...] = ()
    """The same request as another key, or the version before, hashed it. A row may have any of the forms."""

    @property
    def name(self) -> tuple[UUID, str]:
        """The primary key of the stored row."""
        return (self.owner_id, self.key)

    def is_of(self, fingerprint: str) -> bool:
        """Whether this is the fingerprint of this request."""
        return fingerprint == self.fingerprint or any(form.is_of(fingerprint) for form in self.other_forms)

    def differing_fields(self, field_hashes: Mapping[str, str]) -> list[str]:
        """The names of the fields whose values differ from those of the other request, sorted."""
        names = self.field_hashes.keys() | field_hashes.keys()
        differing = sorted(name for name in names if self.field_hashes.get(name) != field_hashes.get(name))
        return min([differing, *(form.differing_fields(field_hashes) for form in self.other_forms)], key=len)


@dataclass(frozen=True)
class Answer:
    """The stored response of a request. `status` comes from the operation; `is_replayed`: it was given before."""

    status: int
    body: dict[str, Any]
    is_replayed: bool = False

    @cached_property
    def text(self) -> bytes:
        """The body as JSON, made once: it is stored and sent. Raises TypeError for a value that is none of JSON's."""
        try:
            return to_json(self.body)
        except PydanticSerializationError as error:
            raise TypeError(str(error)) from error

    def as_replay(self) -> Answer:
        """The same answer, marked as replayed."""
        return Answer(self.status, self.body, is_replayed=True)


def claim_for(owner_id: UUID, key: str, *, method: str, route: str, body: Mapping[str, Any]) -> Claim:
    """The claim of a request: its fingerprint covers method, route and the body's fields without the secrets."""
    hashes = {name: _hash(value)[:_HASH_LENGTH] for name, value in body.items() if name not in SECRET_FIELDS}
    return Claim(owner_id, key, _hash([method, route, hashes]), hashes)


def _hash(value: Any) -> str:
    # Stored and compared for a week: what one value hashes to never changes.
    return _HASH_OF_NULL if value is None else hashlib.sha256(_canonical(value).encode()).hexdigest()


def _canonical(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return encode_basestring(value)  # as the encoder does it, which would be set up for each value
    return repr(value) if kind is int else _encode(value)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode
_HASH_OF_NULL = hashlib.sha256(b"null").hexdigest()
