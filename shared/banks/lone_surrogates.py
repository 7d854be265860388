"""Read a bank's message although it holds half of a surrogate pair, which JSON can say and pydantic's reader refuses.

A bank cuts a remark in the middle of an emoji. In a field that we do not know it must not cost a person the money; in
one that we know, U+FFFD stands in its place, which only free text may contain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.spelling import without_half_pairs

_Message = TypeVar("_Message")

_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(validate: Callable[[bytes], _Message], body: bytes) -> _Message:
    """What `validate` reads in the JSON body, or in the body without half pairs. Raises ValidationError."""
    try:
        return validate(body)
    except ValidationError:
        mended = _without_half_pairs(body)
        if mended is None:
            raise
        return validate(mended)


def _without_half_pairs(body: bytes) -> bytes | None:
    """The same message; None if it holds no half pair, or is not JSON in UTF-8."""
    if _ESCAPE.search(body) is None:
        return None
    try:
        return json.dumps(_mended(json.loads(body.decode())), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return without_half_pairs(value)
    if isinstance(value, list):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {without_half_pairs(name): _mended(each) for name, each in value.items()}
    return value
