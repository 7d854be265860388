"""What a broken rule of a field is called: pydantic's complaints, in words that name the field and count characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.http.fields import HALF_A_CHARACTER
from shared.spelling import without_half_pairs

MAX_FIELD_LENGTH = 200
_PLACES = {"body", "query", "path", "header", "cookie"}
_AFTER_A_VALIDATOR = "Value"
"""As what pydantic counts a text whose validator is a function; a list is a `List`."""
_WORDS = {"extra_forbidden": "no such field", "string_unicode": HALF_A_CHARACTER}


def field_of(location: Sequence[Any]) -> str:
    """The name of the field at this location: `to`, `items.0.note`; `body` for the body as a whole."""
    path = location[1:] if location and location[0] in _PLACES else location
    return without_half_pairs(".".join(str(part) for part in path))[:MAX_FIELD_LENGTH] or "body"


def length_of(complaint: Mapping[str, Any], subject: str) -> str | None:
    """The sentence about `subject` if the complaint is about the length of a text, else None."""
    kind, context = complaint["type"], complaint.get("ctx", {})
    if kind.startswith("too_") and context["field_type"] != _AFTER_A_VALIDATOR:
        return None
    if kind in {"string_too_long", "too_long"}:
        return f"{subject} must have at most {_characters(context['max_length'])}"
    if kind in {"string_too_short", "too_short"}:
        return f"{subject} must have at least {_characters(context['min_length'])}"
    return None


def message_of(complaint: Mapping[str, Any]) -> str:
    """The message for a program. It never repeats what was sent."""
    last = field_of(complaint["loc"]).rpartition(".")[2]
    return length_of(complaint, last) or _WORDS.get(complaint["type"]) or str(complaint["msg"])


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count} characters"
