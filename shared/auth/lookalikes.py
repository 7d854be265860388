"""Letters that look like other letters: the skeleton of a text, the scripts of its words, and patterns for its twins.

The tables are those of UTS #39 (Unicode Security Mechanisms), by the library `disarm`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import disarm

_LOOK_ALIKE = {
    "a": "[a4@]",
    "b": "[b8]",
    "e": "[e3]",
    "i": "[il1|!]",
    "l": "[li1|!]",
    "m": "(?:m|rn)",
    "o": "[o0]",
    "s": "[s5$]",
    "t": "[t7+]",
    "w": "(?:w|vv)",
}
"""What passes for a letter. `I` and `l` look alike, and `L` does not look like `i`; see `CAPITAL_L`."""
CAPITAL_L = "\u029f"
"""In a skeleton, the capital L: a small one looks like the letter i, and this one does not."""


def skeleton(text: str) -> str:
    """The text in lower case, with plain Latin letters for all that look like them. `CAPITAL_L` stands apart."""
    plain = disarm.canonicalize(text) if not text.isascii() else text
    return _without_accents(plain).replace("L", CAPITAL_L).lower()


def pattern_of(words: Iterable[str]) -> re.Pattern[str]:
    """Finds each of the words, which are lower-case ASCII, in a skeleton, also when digits stand for its letters."""
    return re.compile("|".join("".join(_twins(each) for each in word) for word in sorted(words, key=len, reverse=True)))


def is_twin(word: str) -> bool:
    """Whether letters of other scripts, and they alone, make the word look as if it were Latin."""
    if word.isascii() or disarm.Script.LATIN in disarm.detect_scripts(word):
        return False
    seen = disarm.canonicalize(word)
    return seen.isascii() and any(each.isalpha() for each in seen) and any(each.isalpha() for each in word)


def is_mixed(word: str) -> bool:
    """Whether the word has letters of more than one writing system (UTS #39, 5.1)."""
    return not word.isascii() and disarm.is_mixed_script(word)


def _twins(letter: str) -> str:
    look = _LOOK_ALIKE.get(letter, re.escape(letter))
    return f"[{CAPITAL_L}{look[1:]}" if letter == "l" else look


def _without_accents(text: str) -> str:
    """Off come only those of Latin letters: marks of Indian scripts are vowels."""
    if text.isascii():
        return text
    kept = []
    is_on_latin = False
    for each in unicodedata.normalize("NFD", text):
        if not unicodedata.combining(each):
            is_on_latin = each.isascii()
        elif is_on_latin:
            continue
        kept.append(each)
    return unicodedata.normalize("NFC", "".join(kept))
