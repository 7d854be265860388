"""The one spelling in which text is stored, of several that look the same.

Unicode writes `é` as one character or as two. What is stored is in normalisation form C (NFC); for text that is ASCII
or in that form already, asking costs next to nothing.
"""

from __future__ import annotations

import unicodedata

_HALF_PAIRS = range(0xD800, 0xE000)
_REPLACEMENT = "\ufffd"


def composed(text: str) -> str:
    """The text in NFC."""
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", text)


def opaque(password: str) -> str:
    """The password as RFC 8265 prepares an OpaqueString: every blank is U+0020, then NFC. Case and width stay."""
    if password.isascii():
        return password
    return composed("".join(" " if unicodedata.category(each) == "Zs" else each for each in password))


def has_half_pair(text: str) -> bool:
    """Whether half of a surrogate pair stands alone: JSON can say `"\\ud800"`, UTF-8 cannot."""
    return not text.isascii() and any(ord(each) in _HALF_PAIRS for each in text)


def without_half_pairs(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair that stands alone."""
    return "".join(_REPLACEMENT if ord(each) in _HALF_PAIRS else each for each in text)
