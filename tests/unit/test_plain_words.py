"""Words that hide who acts stay out of code, pages and documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.local.layout import CHECKOUT

FOLDERS = ("services", "shared", "infra", "tests", "bench", "chaos", "docs", ".github")
KINDS = {".py", ".md", ".html", ".txt", ".sql", ".js", ".css", ".svg", ".yml"}
# `nobody` is a Unix account, and in addresses and test data a name.
UNPLAIN = re.compile(
    r"(?i:\b(?:whoever|whomever|somebody|everybody|anybody)\b)|\bN(?:obody|OBODY)\b|(?<![`\"'/])\bnobody\b(?![@-])"
)
STAYS = "Nobody has this wallet id"
"""A message of the API, which callers may have seen."""


def _unplain(text: str) -> list[str]:
    return UNPLAIN.findall(text.replace(STAYS, ""))


def test_no_text_of_ours_hides_who_acts() -> None:
    files = [file for folder in FOLDERS for file in (CHECKOUT / folder).rglob("*") if file.suffix in KINDS]
    files += [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("*.yml")]
    found = [
        f"{file.relative_to(CHECKOUT)}:{number}: {word}"
        for file in files
        if file != Path(__file__)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        for word in _unplain(line)
    ]
    assert sorted(found) == []


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ("Each notice is processed once, whichever replica receives it.", True),
        ("Whoever sent it is told once.", False),
        ("pays nobody twice", False),
        ("Nobody waits.", False),
        ("become `nobody`", True),
        ('"nobody@batua"', True),
        ("Nobody has this wallet id. Check the spelling.", True),
    ],
)
def test_a_word_that_hides_who_acts_is_found(text: str, is_plain: bool) -> None:
    assert (not _unplain(text)) == is_plain
