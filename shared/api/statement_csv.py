"""A statement as CSV: sent while it is read, in chunks, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable

from fastapi.responses import StreamingResponse

from shared import clock
from shared.ledger.statement import Line
from shared.money import Money

HEADER = ("created_at", "direction", "kind", "amount", "balance_after", "counterparty", "wallet_id", "note", "id")
LINES_PER_CHUNK = 100
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are full-width forms, which some spreadsheets treat like the ASCII characters."""


def csv_response(lines: AsyncIterator[Line]) -> StreamingResponse:
    """An attachment with one row per line, in their order. Amounts in rupees with two decimals, times in UTC."""
    filename = f"batua-transactions-{clock.now():%Y-%m-%d}.csv"
    return StreamingResponse(
        _chunks(lines),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"},
    )


def cell(text: str | None) -> str:
    """Text that a spreadsheet does not compute: an apostrophe is put before text that looks like a formula."""
    if text is None:
        return ""
    return f"'{text}" if text.lstrip(" ").startswith(_STARTS_A_FORMULA) else text


async def _chunks(lines: AsyncIterator[Line]) -> AsyncIterator[str]:
    waiting: list[tuple[str, ...]] = [HEADER]
    async for line in lines:
        waiting.append(_row(line))
        if len(waiting) >= LINES_PER_CHUNK:
            yield _render(waiting)
            waiting = []
    yield _render(waiting)


def _row(line: Line) -> tuple[str, ...]:
    return (
        clock.rfc3339(line.created_at, "auto"),
        line.direction,
        line.kind,
        Money(line.amount).to_rupees(),
        Money(line.balance_after).to_rupees(),
        cell(line.counterparty.name),
        cell(line.counterparty.wallet_id),
        cell(line.note),
        str(line.transfer_id),
    )


def _render(rows: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
