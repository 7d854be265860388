from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.spelling import composed, has_half_pair, opaque, without_half_pairs

Form = Literal["NFC", "NFD"]
FORMS: st.SearchStrategy[Form] = st.sampled_from(["NFC", "NFD"])


@given(st.text(), FORMS)
def test_both_spellings_become_the_same(text: str, form: Form) -> None:
    assert composed(unicodedata.normalize(form, text)) == composed(text) == unicodedata.normalize("NFC", text)


@given(st.text(), FORMS)
def test_a_prepared_password_is_the_same_from_every_keyboard(password: str, form: Form) -> None:
    """RFC 8265, 4.2: blanks outside ASCII become U+0020, then NFC; preparing twice changes nothing."""
    assert opaque(opaque(password)) == opaque(password)
    assert opaque(unicodedata.normalize(form, password)) == opaque(password)


@pytest.mark.parametrize(
    ("typed", "prepared"),
    [
        ("correct horse battery staple", "correct horse battery staple"),  # the examples of RFC 8265, table 4
        ("Correct Horse Battery Staple", "Correct Horse Battery Staple"),
        ("\u03c0\u00df\u00e5", "\u03c0\u00df\u00e5"),
        ("Jack of \u2666s", "Jack of \u2666s"),
        ("foo\u1680bar", "foo bar"),
        ("\uff41", "\uff41"),  # width stays
        ("pass\u00a0word\u3000", "pass word "),
        ("\u0958", "\u0915\u093c"),
    ],
)
def test_passwords_are_prepared_as_the_rfc_says(typed: str, prepared: str) -> None:
    assert opaque(typed) == prepared


@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_half_pairs_are_found_and_replaced(text: str) -> None:
    whole = without_half_pairs(text)
    assert not has_half_pair(whole)
    assert has_half_pair(text) == (whole != text)
    assert len(whole.encode()) >= len(text)
