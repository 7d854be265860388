"""Account numbers and IFSC codes: what is valid, how typed text is read, and how a number is shown.

An account number here is 6 to 18 digits. An IFSC (Indian Financial System Code) is four letters for the bank, a zero
and six letters or digits for the branch, in capitals.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

LONGEST_NUMBER = 18
_ACCOUNT_NUMBER = f"[0-9]{{6,{LONGEST_NUMBER}}}"
_IFSC = "[A-Z]{4}0[A-Z0-9]{6}"
_BY_ITSELF = re.compile(rf"(?<![0-9A-Za-z]){_ACCOUNT_NUMBER}(?![0-9A-Za-z])")
_VISIBLE_DIGITS = 4

AccountNumber = Annotated[str, Field(pattern=f"^{_ACCOUNT_NUMBER}$")]
Ifsc = Annotated[str, Field(pattern=f"^{_IFSC}$")]


def is_account_number(text: str) -> bool:
    """Whether the text is a valid account number as it stands."""
    return re.fullmatch(_ACCOUNT_NUMBER, text) is not None


def is_ifsc(text: str) -> bool:
    """Whether the text is a valid IFSC as it stands."""
    return re.fullmatch(_IFSC, text) is not None


def account_number_from(typed: str) -> str:
    """The typed text without blanks and hyphens, which people put between groups of digits. It may be invalid."""
    return re.sub(r"[\s-]", "", typed)


def ifsc_from(typed: str) -> str:
    """The typed text without blanks, in capitals. It may be invalid."""
    return re.sub(r"\s", "", typed).upper()


def masked_within(text: str) -> str:
    """The text with each account number masked, and whatever else has 6 to 18 digits and stands by itself."""
    return _BY_ITSELF.sub(lambda number: masked(number[0]), text)


def last_digits(account_number: str) -> str:
    """The last four digits, the only ones that may be shown or logged."""
    return account_number[-_VISIBLE_DIGITS:]


def masked(account_number: str) -> str:
    """`XXXXXX1234`, however long the number is. What is masked stays as it is."""
    return f"XXXXXX{last_digits(account_number)}"
