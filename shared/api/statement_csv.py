"""A statement as CSV: sent while it is read, in chunks, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import AsyncIterator, Iterable
from zoneinfo import ZoneInfo

from fastapi.responses import StreamingResponse

from shared import clock
from shared.api.attachments import attachment_headers
from shared.api.statement_totals import Totals
from shared.http.fields import HIDDEN_LETTERS
from shared.ledger.openings import Opening
from shared.ledger.statement import Line
from shared.money import Money

HEADER = (
    *("created_at", "direction", "kind", "amount", "balance_after", "counterparty", "wallet_id", "note", "id"),
    "local_time",
)
EARLIER_ARCHIVED = "Earlier transactions are archived"
LINES_PER_CHUNK = 100
_BYTE_ORDER_MARK = "\ufeff"
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are full-width forms, which some spreadsheets treat like the ASCII characters."""
_UNSEEN = {"Cf", "Zs"}
_UNSEEN_LETTERS = HIDDEN_LETTERS | set("\u180b\ufe0e\ufe0f")


def csv_response(
    lines: AsyncIterator[Line | Opening], *, zone: ZoneInfo, begins_with_mark: bool = False, has_totals: bool = False
) -> StreamingResponse:
    """An attachment with one row per line, in their order. Amounts in rupees with two decimals; times in UTC, and as
    spreadsheets read them in `zone`.

    A byte order mark tells spreadsheets that the text is UTF-8. The totals are two rows of kind `total`. An opening
    balance is a row of kind `opening`: earlier lines are archived.
    """
    return StreamingResponse(
        _chunks(lines, zone, _BYTE_ORDER_MARK if begins_with_mark else "", has_totals=has_totals),
        media_type="text/csv; charset=utf-8",
        headers=attachment_headers("csv"),
    )


def cell(text: str | None) -> str:
    """Text that a spreadsheet does not compute: an apostrophe is put before text that looks like a formula.

    Blanks and what cannot be seen in front of it do not count: spreadsheets leave some of them out.
    """
    if not text:
        return ""
    first = next((each for each in text if not _is_unseen(each)), "")
    return f"'{text}" if first in _STARTS_A_FORMULA else text


def _is_unseen(each: str) -> bool:
    return each in _UNSEEN_LETTERS or unicodedata.category(each) in _UNSEEN


async def _chunks(
    lines: AsyncIterator[Line | Opening], zone: ZoneInfo, beginning: str, *, has_totals: bool
) -> AsyncIterator[str]:
    waiting: list[tuple[str, ...]] = [HEADER]
    totals = Totals()
    async for line in lines:
        if isinstance(line, Opening):
            waiting.append(_opening(line, zone))
            continue
        totals.count(line)
        waiting.append(_row(line, zone))
        if len(waiting) >= LINES_PER_CHUNK:
            yield beginning + _render(waiting)
            beginning, waiting = "", []
    if has_totals:
        waiting += [_total("CREDIT", totals.money_in), _total("DEBIT", totals.money_out)]
    yield beginning + _render(waiting)


def _row(line: Line, zone: ZoneInfo) -> tuple[str, ...]:
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
        f"{line.created_at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
    )


def _opening(opening: Opening, zone: ZoneInfo) -> tuple[str, ...]:
    balance = Money(opening.balance).to_rupees()
    local = f"{opening.until.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    return (clock.rfc3339(opening.until, "auto"), "", "opening", "", balance, "", "", EARLIER_ARCHIVED, "", local)


def _total(direction: str, paise: int) -> tuple[str, ...]:
    return ("", direction, "total", Money(paise).to_rupees(), *("",) * (len(HEADER) - 4))


def _render(rows: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
