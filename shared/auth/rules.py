"""The rules for passwords, PINs and wallet ids. Every input type and every form follows them."""

from __future__ import annotations

import re

MIN_PASSWORD_LENGTH = 8
MAX_PASSWORD_LENGTH = 72
"""Characters, of whatever script, of a password as RFC 8265 prepares it."""
MIN_PIN_DIGITS, MAX_PIN_DIGITS = 4, 6
PIN_PATTERN = f"^[0-9]{{{MIN_PIN_DIGITS},{MAX_PIN_DIGITS}}}$"
HANDLE_SUFFIX = "@batua"
HANDLE_PATTERN = rf"^[a-z0-9][a-z0-9._-]{{0,62}}{HANDLE_SUFFIX}$"
HANDLE_PATTERN_IN_ANY_CASE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}@[Bb][Aa][Tt][Uu][Aa]$"
MAX_TOKEN_LENGTH = 4096
"""Characters of a token; a longer one is not read."""

_PIN = re.compile(PIN_PATTERN)
_HANDLE = re.compile(HANDLE_PATTERN)


def has_password_length(password: str) -> bool:
    """Whether the password, which is prepared, is neither too short nor too long."""
    return MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH


def is_pin(text: str) -> bool:
    """Whether the text is 4 to 6 digits."""
    return _PIN.fullmatch(text) is not None


def is_handle(text: str) -> bool:
    """Whether the text is a wallet id in lower case, such as `alice@batua`."""
    return _HANDLE.fullmatch(text) is not None
