from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.errors import InvalidRequest
from shared.http.pagination import PageRequest, cursor_of
from shared.ids import new_id


def test_a_cursor_carries_an_id_or_a_number() -> None:
    identifier = new_id()
    assert PageRequest(20, cursor_of(identifier)).after_id() == identifier
    assert PageRequest(20, cursor_of(42)).after_number() == 42
    assert PageRequest(20, None).after_id() is None
    assert PageRequest(20, None).after_number() is None


@given(st.text(max_size=40))
def test_any_other_text_is_rejected_by_name(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        PageRequest(20, cursor).after_id()
    assert [each.field for each in refused.value.errors] == ["cursor"]


def test_a_number_above_bigint_is_rejected() -> None:
    for number in (2**63, 10**30):
        with pytest.raises(InvalidRequest):
            PageRequest(20, cursor_of(number)).after_number()
