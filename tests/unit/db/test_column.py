"""A value that all rows share is sent once."""

from __future__ import annotations

import pytest

from shared.db.writes import column


@pytest.mark.parametrize(
    ("values", "sent"),
    [
        (["p2p", "p2p"], ((), "p2p")),
        ([None, None], ((), None)),
        ([0], ((), 0)),
        ([1, 2, 1], ([1, 2, 1], None)),
        ([None, 3], ([None, 3], None)),
        ([3, None], ([3, None], None)),
        ([], ([], None)),
    ],
)
def test_a_shared_value_is_sent_once(values: list[object], sent: tuple[object, object]) -> None:
    assert column(values) == sent
