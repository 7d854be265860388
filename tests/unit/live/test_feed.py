"""Cursors and events as text."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.ids import new_id
from shared.ledger.accounts import Wallet
from shared.live.feed import MAX_CURSOR_LENGTH, Cursor, Event
from shared.live.stream import encode

moments = st.integers(1_600_000_000, 4_100_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(st.integers(0, 2**63 - 1), moments)
def test_a_cursor_is_read_as_it_was_written(seq: int, at: datetime) -> None:
    written = str(Cursor(seq, at))
    read = Cursor.parse(written)
    assert read is not None
    assert len(written) <= MAX_CURSOR_LENGTH
    assert read.seq == seq
    assert abs((read.at - at).total_seconds()) < 0.001


@given(st.text(max_size=80) | st.from_regex(r"[0-9-]{0,50}", fullmatch=True))
def test_any_text_is_a_cursor_or_none(text: str) -> None:
    read = Cursor.parse(text)
    assert read is None or read.seq >= 0


@given(st.text())
def test_no_name_or_note_breaks_out_of_its_event(note: str) -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    subject = Wallet(new_id(), "alice@batua", 0, 0, "INR", False, 0)
    written = encode(Event("transaction", subject, Cursor(1, at)), {"note": note}).decode()
    assert written.endswith("\n\n")
    assert [line.partition(":")[0] for line in written.splitlines()] == ["id", "event", "data", ""]
