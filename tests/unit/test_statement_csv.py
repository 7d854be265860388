from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api.statement_csv import cell

UNSEEN = ["\ufeff", "\u200b", "\u2060", "\u00ad", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069", "\u061c"]
UNSEEN += [" ", "\u00a0", "\u3000", "\u180e", "\u034f", "\ufe0f", "\u2800", "\u3164", "\U000e0041"]


@given(st.lists(st.sampled_from(UNSEEN), max_size=5), st.sampled_from(["=", "+", "-", "@", "\t", "\uff1d"]), st.text())
def test_a_formula_behind_what_cannot_be_seen_is_text(before: list[str], sign: str, after: str) -> None:
    text = f"{''.join(before)}{sign}{after}"
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["chai", "₹ आशा", "a=1", "\ufeffrent", "\u200b", "  ", "", "1-2", "é+"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert cell(text) == text
