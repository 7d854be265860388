"""What the documents point to is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.layout import CHECKOUT

DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md"), *(CHECKOUT / ".github").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:services|shared|infra|tests|bench|chaos|docs)/[A-Za-z0-9_./-]*)`")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def _broken(document: Path) -> Iterator[str]:
    text = document.read_text(encoding="utf-8")
    for target in _LINK.findall(text):
        address, _, anchor = target.partition("#")
        file = (document.parent / address) if address else document
        if "://" in target or target.startswith("mailto:"):
            continue
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in _anchors(file)):
            yield target
    for path in _PATH.findall(text):
        if not (CHECKOUT / path).exists():
            yield path


def _anchors(document: Path) -> set[str]:
    """The anchors of its headings, as a forge makes them: lower case, hyphens for blanks, no punctuation."""
    headings = _HEADING.findall(document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.relative_to(CHECKOUT).as_posix())
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    assert list(_broken(document)) == []


def test_a_broken_link_a_lost_heading_and_a_lost_file_are_found(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("# A heading, here\n[a](gone.md) [b](#a-heading-here) [c](#lost) `shared/gone.py`\n")
    assert list(_broken(document)) == ["gone.md", "#lost", "shared/gone.py"]


def test_decisions_are_numbered_from_one_without_a_gap() -> None:
    decisions = sorted((CHECKOUT / "docs" / "adr").glob("*.md"))
    named = [int(file.name.partition("-")[0]) for file in decisions]
    headed = [int(file.read_text(encoding="utf-8").removeprefix("# ").partition(".")[0]) for file in decisions]
    assert named == headed == list(range(1, len(decisions) + 1))
