"""A statement as a workbook (.xlsx): written row by row into a temporary file, which is sent when it is whole.

Text is written as text, so nothing in it is computed; amounts are numbers in rupees, times are dates of the owner's
zone.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import IO, Any
from zoneinfo import ZoneInfo

from fastapi.responses import StreamingResponse

from shared.api.attachments import attachment_headers
from shared.api.errors import ExportBusy, TooManyLines
from shared.api.statement_csv import EARLIER_ARCHIVED
from shared.api.statement_totals import Totals
from shared.ledger.openings import Opening
from shared.ledger.statement import Line

MAX_LINES = 20_000
"""Lines of one workbook."""
MAX_AT_ONCE = 2
"""Workbooks that one process writes at the same time."""
ROWS_PER_STEP = 250
PART_BYTES = 64 * 1024
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_COLUMNS = (
    *(("Time", 20), ("Direction", 10), ("Kind", 14), ("Amount in ₹", 16), ("Balance after in ₹", 18)),
    *(("Who", 28), ("Wallet id", 24), ("Note", 40), ("Transaction", 38)),
)
_KIND_COLUMN, _AMOUNT_COLUMN, _BALANCE_COLUMN, _NOTE_COLUMN = 2, 3, 4, 7
_TIME_FORMAT = "yyyy-mm-dd hh:mm:ss"
_RUPEE_FORMAT = r"[>=10000000]##\,##\,##\,##0.00;[>=100000]##\,##\,##0.00;##,##0.00"
"""Grouped as in India: by lakh and crore."""


@dataclass
class _UnderWay:
    count: int = 0


_under_way = _UnderWay()


async def xlsx_response(
    lines: AsyncIterator[Line | Opening], *, zone: ZoneInfo, has_totals: bool = False
) -> StreamingResponse:
    """An attachment with one row per line, in their order. Raises TooManyLines, ExportBusy.

    An opening balance is a row of kind `opening`: earlier lines are archived.
    """
    if _under_way.count >= MAX_AT_ONCE:
        raise ExportBusy
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is sent
    _under_way.count += 1
    try:
        with tempfile.TemporaryDirectory() as directory:
            sheet = await asyncio.to_thread(_Sheet, file, directory, zone)
            await _write(sheet, lines, has_totals=has_totals)
    except BaseException:
        file.close()
        raise
    finally:
        _under_way.count -= 1
    return StreamingResponse(
        _parts(file),
        media_type=XLSX,
        headers=attachment_headers("xlsx") | {"Content-Length": str(file.seek(0, io.SEEK_END))},
    )


async def _write(sheet: _Sheet, lines: AsyncIterator[Line | Opening], *, has_totals: bool) -> None:
    """In a thread, a few rows at a time: other requests are answered in between."""
    waiting: list[Line] = []
    opening: Opening | None = None
    try:
        async for line in lines:
            if isinstance(line, Opening):
                opening = line
                continue
            waiting.append(line)
            if sheet.rows + len(waiting) > MAX_LINES:
                raise TooManyLines(MAX_LINES)
            if len(waiting) == ROWS_PER_STEP:
                await asyncio.to_thread(sheet.write, waiting)
                waiting = []
        await asyncio.to_thread(sheet.write, waiting)
        if opening is not None:
            sheet.write_opening(opening)
        if has_totals:
            sheet.write_totals()
    finally:
        await asyncio.shield(asyncio.to_thread(sheet.close))  # also of one that was given up: it holds files


async def _parts(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        file.seek(0)
        while part := await asyncio.to_thread(file.read, PART_BYTES):
            yield part


@dataclass
class _Sheet:
    """The one sheet of a workbook. Rows are written in order and never again; none is kept in memory."""

    file: IO[bytes]
    directory: str
    zone: ZoneInfo
    rows: int = 0
    totals: Totals = field(default_factory=Totals)

    def __post_init__(self) -> None:
        import xlsxwriter  # noqa: PLC0415 - most processes write no workbook

        options = {"constant_memory": True, "tmpdir": self.directory}
        options |= dict.fromkeys(("strings_to_formulas", "strings_to_urls", "strings_to_numbers"), False)
        self._workbook: Any = xlsxwriter.Workbook(self.file, options)
        self._sheet: Any = self._workbook.add_worksheet("Transactions")
        bold = self._workbook.add_format({"bold": True})
        self._bold = bold
        self._time = self._workbook.add_format({"num_format": _TIME_FORMAT})
        self._rupees = self._workbook.add_format({"num_format": _RUPEE_FORMAT})
        self._sum = self._workbook.add_format({"num_format": _RUPEE_FORMAT, "bold": True})
        self._sheet.freeze_panes(1, 0)
        for column, (name, width) in enumerate(_COLUMNS):
            self._sheet.set_column(column, column, width)
            self._sheet.write_string(0, column, name, bold)

    def write(self, lines: Sequence[Line]) -> None:
        """Append these lines."""
        for line in lines:
            self.rows += 1
            self.totals.count(line)
            local = line.created_at.astimezone(self.zone).replace(tzinfo=None, microsecond=0)
            self._sheet.write_datetime(self.rows, 0, local, self._time)
            self._sheet.write_string(self.rows, 1, line.direction)
            self._sheet.write_string(self.rows, 2, line.kind)
            self._sheet.write_number(self.rows, 3, _rupees(line.amount), self._rupees)
            self._sheet.write_number(self.rows, 4, _rupees(line.balance_after), self._rupees)
            party = line.counterparty
            for column, text in enumerate((party.name, party.wallet_id, line.note, str(line.transfer_id)), 5):
                if text:
                    self._sheet.write_string(self.rows, column, text)

    def write_opening(self, opening: Opening) -> None:
        """Append the balance behind which lines are archived."""
        self.rows += 1
        local = opening.until.astimezone(self.zone).replace(tzinfo=None, microsecond=0)
        self._sheet.write_datetime(self.rows, 0, local, self._time)
        self._sheet.write_string(self.rows, _KIND_COLUMN, "opening")
        self._sheet.write_number(self.rows, _BALANCE_COLUMN, _rupees(opening.balance), self._rupees)
        self._sheet.write_string(self.rows, _NOTE_COLUMN, EARLIER_ARCHIVED)

    def write_totals(self) -> None:
        """Append what came in and what went out, after an empty row."""
        for row, (name, paise) in enumerate(
            (("Money in", self.totals.money_in), ("Money out", self.totals.money_out)), self.rows + 2
        ):
            self._sheet.write_string(row, 0, name, self._bold)
            self._sheet.write_number(row, _AMOUNT_COLUMN, _rupees(paise), self._sum)

    def close(self) -> None:
        """Put the file together."""
        self._workbook.close()


def _rupees(paise: int) -> Decimal:
    return Decimal(paise).scaleb(-2)
