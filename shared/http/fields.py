"""Types of the fields of requests: bounded, trimmed, and free of characters that Postgres or a page cannot show.

Here text enters, and gets the spelling in which it is stored (NFC). The exceptions are fields that belong to the
fingerprint of a keyed request, `Text` and `HolderName`: they stay as they were sent, and are spelled where they are
stored.
Lengths are counted in characters, which are code points.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StrictBool
from pydantic_core import PydanticCustomError

from shared.auth.rules import (
    HANDLE_PATTERN_IN_ANY_CASE,
    MAX_PASSWORD_LENGTH,
    MAX_PIN_DIGITS,
    MIN_PASSWORD_LENGTH,
    MIN_PIN_DIGITS,
    PIN_PATTERN,
    has_password_length,
    is_handle,
    is_pin,
)
from shared.money import MAX_MOVEMENT_PAISE
from shared.spelling import composed, has_half_pair, opaque

MAX_EMAIL_LENGTH = 254
HALF_A_CHARACTER = "must not contain half of a character (a lone surrogate)"
IDEMPOTENCY_KEY_PATTERN = r"^[\x21-\x7e]{1,255}$"

# Cc are control characters, Cs half surrogate pairs; Zl and Zp break lines. The others change the direction of text.
_FORBIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_DIRECTION_CONTROLS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# A name holds no invisible character: with one, two different names look the same.
_HIDDEN_CATEGORIES = _FORBIDDEN_CATEGORIES | {"Cf", "Co"}
HIDDEN_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Their category is that of letters, marks or symbols, and nothing of them is seen."""
_ZERO_WIDTH_NON_JOINER, _ZERO_WIDTH_JOINER = "\u200c", "\u200d"
_VIRAMA_CLASS = 9
_EMOJI_PRESENTATION = "\ufe0f"
_PICTOGRAPHS = range(0x1F000, 0x1FB00)
_PRINTABLE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f-\x9f]*$"


class Body(BaseModel):
    """A request body. Unknown fields are rejected, and so are numbers written as strings."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _line(value: Any) -> Any:
    """Check before trimming: the pattern rejects a line break at the ends too."""
    if not isinstance(value, str) or (value.isascii() and value.isprintable()):
        return _stripped(value)
    if any(unicodedata.category(each) in _FORBIDDEN_CATEGORIES or each in _DIRECTION_CONTROLS for each in value):
        is_half = has_half_pair(value)
        raise PydanticCustomError("unprintable", HALF_A_CHARACTER if is_half else "must not contain control characters")
    return value.strip()


def _composed_line(value: Any) -> Any:
    line = _line(value)
    return composed(line) if isinstance(line, str) else line


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _name(value: str) -> str:
    if value.isascii() and value.isprintable():
        return value
    if any(_is_hidden(value, position) for position in range(len(value))):
        raise PydanticCustomError("invisible", "must not contain invisible characters")
    if not any(unicodedata.category(each)[0] in "LNPS" or _is_pictograph(each) for each in value):
        raise PydanticCustomError("invisible", "must contain something that can be seen")
    return value


def _is_hidden(text: str, position: int) -> bool:
    each = text[position]
    if each in (_ZERO_WIDTH_NON_JOINER, _ZERO_WIDTH_JOINER):
        return not (_is_joiner_of_script(text, position) or _is_joiner_of_emoji(text, position))
    return each in HIDDEN_LETTERS or unicodedata.category(each) in _HIDDEN_CATEGORIES


def _is_joiner_of_script(text: str, position: int) -> bool:
    """Indian scripts write joiners after a virama, Urdu a non-joiner between letters: the text looks different then."""
    before, after = text[:position][-1:], text[position + 1 :][:1]
    if before and unicodedata.combining(before) == _VIRAMA_CLASS:
        return True
    is_between = all(each and unicodedata.name(each, "").startswith("ARABIC LETTER") for each in (before, after))
    return text[position] == _ZERO_WIDTH_NON_JOINER and is_between


def _is_joiner_of_emoji(text: str, position: int) -> bool:
    """A family, a flag or a profession is several emoji with a joiner between them."""
    before, after = text[:position].rstrip(_EMOJI_PRESENTATION)[-1:], text[position + 1 :][:1]
    is_between = _is_pictograph(before) and _is_pictograph(after)
    return text[position] == _ZERO_WIDTH_JOINER and is_between


def _is_pictograph(each: str) -> bool:
    # Newer emoji than Python knows are unassigned to it. U+2194 and U+2195, arrows of emoji, are mathematical.
    return bool(each) and (ord(each) in _PICTOGRAPHS or unicodedata.category(each) == "So" or each in "\u2194\u2195")


_PRINTABLE = {"pattern": _PRINTABLE_PATTERN}

Text = Annotated[
    str,
    BeforeValidator(_line),
    Field(min_length=1, max_length=200, json_schema_extra=dict(_PRINTABLE)),
]
"""One line of 1 to 200 characters, trimmed, spelled as it was sent."""
Name = Annotated[
    str,
    BeforeValidator(_composed_line),
    Field(min_length=1, max_length=100, json_schema_extra=dict(_PRINTABLE)),
    AfterValidator(_name),
]
"""One line of 1 to 100 visible characters, trimmed."""
HolderName = Annotated[
    str,
    BeforeValidator(_line),
    Field(min_length=1, max_length=100, json_schema_extra=dict(_PRINTABLE)),
    AfterValidator(_name),
]
"""The same for the holder of a bank account, spelled as it was sent."""
BankCode = Annotated[str, Field(min_length=1, max_length=16, pattern="^[a-z]+$", examples=["hdfc"])]
"""The code of a bank, ours or not."""
SearchText = Annotated[
    str,
    BeforeValidator(_composed_line),
    Field(min_length=1, max_length=64, json_schema_extra=dict(_PRINTABLE)),
]
"""Words to search for: 1 to 64 characters, trimmed."""


def _email(value: str) -> str:
    # The apps have it from FastAPI. The bank webhook, which shares this module's words, has no email field.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        # Names kept for tests (.test) are names like any other; whether mail gets there is not asked.
        parts = validate_email(
            value,
            check_deliverability=False,
            allow_smtputf8=False,
            globally_deliverable=False,
            test_environment=True,
        )
    except EmailNotValidError as error:
        raise PydanticCustomError("email", "not an email address") from error
    address = (parts.ascii_email or "").lower()
    if "." not in (parts.ascii_domain or "") or len(address) > MAX_EMAIL_LENGTH:
        raise PydanticCustomError("email", "not an email address")
    return address


Email = Annotated[
    str,
    BeforeValidator(_stripped),
    Field(max_length=MAX_EMAIL_LENGTH, json_schema_extra={"format": "email"}, examples=["alice@example.com"]),
    AfterValidator(_email),
]
"""A mail address, checked by its syntax alone, in lower case."""


def _password(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if has_half_pair(secret):
        raise PydanticCustomError("password", HALF_A_CHARACTER)
    if not has_password_length(opaque(secret)):
        limits = {"least": MIN_PASSWORD_LENGTH, "most": MAX_PASSWORD_LENGTH}
        raise PydanticCustomError("password", "must have {least} to {most} characters", limits)
    if "\x00" in secret:
        raise PydanticCustomError("password", "must not contain a NUL character")
    return value


def _pin(value: SecretStr) -> SecretStr:
    if not is_pin(value.get_secret_value()):
        limits = {"least": MIN_PIN_DIGITS, "most": MAX_PIN_DIGITS}
        raise PydanticCustomError("pin", "must be {least} to {most} digits", limits)
    return value


_PASSWORD_SCHEMA = {"minLength": MIN_PASSWORD_LENGTH, "maxLength": MAX_PASSWORD_LENGTH, "pattern": r"^[^\x00]*$"}
_PIN_SCHEMA = {"minLength": MIN_PIN_DIGITS, "maxLength": MAX_PIN_DIGITS, "pattern": PIN_PATTERN}

Password = Annotated[
    SecretStr, Field(json_schema_extra=dict(_PASSWORD_SCHEMA), examples=["correct horse"]), AfterValidator(_password)
]
"""8 to 72 characters. It appears in no repr and no log."""
_SPELLED_LONGEST = 4
"""Code points that one character may be typed as: a Greek letter with two accents and an iota below."""
GivenPassword = Annotated[
    SecretStr, Field(min_length=1, max_length=MAX_PASSWORD_LENGTH * _SPELLED_LONGEST, examples=["correct horse"])
]
"""A password to compare with the stored hash."""
Pin = Annotated[SecretStr, Field(json_schema_extra=dict(_PIN_SCHEMA), examples=["4812"]), AfterValidator(_pin)]
"""4 to 6 digits. It appears in no repr and no log."""

Paise = Annotated[int, Field(strict=True, ge=1, le=MAX_MOVEMENT_PAISE, examples=[20000])]
"""The amount of one movement: a JSON integer, in paise."""
Flag = StrictBool


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _handle(value: str) -> str:
    if not is_handle(value):
        raise PydanticCustomError("wallet_id", "not a wallet id such as alice@batua")
    return value


Handle = Annotated[
    str,
    BeforeValidator(_lower),
    Field(max_length=70, json_schema_extra={"pattern": HANDLE_PATTERN_IN_ANY_CASE}, examples=["alice@batua"]),
    AfterValidator(_handle),
]
"""A wallet id, `alice@batua`, in upper or lower case."""


def _recipient(value: str) -> str:
    if is_handle(value):
        return value
    try:
        return str(UUID(value))
    except ValueError:
        raise PydanticCustomError("recipient", "neither a wallet id such as alice@batua nor an account id") from None


def recipient_in(value: object) -> str | None:
    """The recipient that a `Recipient` field would read; None if it would refuse the value."""
    try:
        return _recipient(value.strip().lower()) if isinstance(value, str) else None
    except PydanticCustomError:
        return None


Recipient = Annotated[
    str,
    BeforeValidator(_stripped),
    BeforeValidator(_lower),
    Field(max_length=70, examples=["alice@batua"]),
    AfterValidator(_recipient),
]
"""The recipient of money: a wallet id, or the id of an own account in canonical form."""


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime", "Factory", "posixrules"})


def _timezone(value: str) -> str:
    if value not in _timezones():
        raise PydanticCustomError("timezone", "not an IANA time zone such as Asia/Kolkata")
    return value


Timezone = Annotated[str, Field(max_length=64, examples=["Asia/Kolkata"]), AfterValidator(_timezone)]
"""An IANA time zone name."""
