"""An amount in words, as people in India say it: so that a wrong digit is seen before money moves."""

from __future__ import annotations

from shared.money import PAISE_PER_RUPEE

# fmt: off
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
# fmt: on
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_UNITS = ((10_000_000, "crore"), (100_000, "lakh"), (1000, "thousand"), (100, "hundred"))


def amount_in_words(paise: int) -> str:
    """`One lakh twenty-three thousand rupees and fifty paise`. For an amount that is not negative."""
    rupees, part = divmod(paise, PAISE_PER_RUPEE)
    said = []
    if rupees or not part:
        said.append(f"{_number_in_words(rupees)} {'rupee' if rupees == 1 else 'rupees'}")
    if part:
        said.append(f"{_number_in_words(part)} {'paisa' if part == 1 else 'paise'}")
    return " and ".join(said).capitalize()


def _number_in_words(count: int) -> str:
    if count < len(_SMALL):
        return _SMALL[count]
    for unit, name in _UNITS:
        if count >= unit:
            many, rest = divmod(count, unit)
            return f"{_number_in_words(many)} {name}{f' {_number_in_words(rest)}' if rest else ''}"
    tens, ones = divmod(count, 10)
    return f"{_TENS[tens - 2]}{f'-{_SMALL[ones]}' if ones else ''}"
