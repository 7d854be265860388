"""Check the files of the archive: each is whole, is what its seal covers, and leads to the opening balances.

What the files say of transfers is compared with the transfers in the database, one after the other.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.models import ArchivedSeal, LedgerSeal, OpeningBalance
from shared.proof import archive_files, seals
from shared.proof.errors import FileDiffers

MAX_PROBLEMS = 20
_LINES_AT_ONCE = 2_000
_ACCOUNT, _SEQ, _TRANSFER, _DIRECTION, _AMOUNT, _BALANCE = range(6)
_OF_TRANSFER = 7
"""From this place on, a line says what its transfer says."""
_POINT = struct.Struct(">16sqq")
_MODULUS = 2**128

_TRANSFERS = text(f"""
    SELECT t.id, CAST(json_build_array({seals.OF_TRANSFER}) AS text) FROM transfers t
    WHERE t.id = ANY(CAST(:ids AS uuid[]))
""")  # noqa: S608 - a constant of this code

Problem = Mapping[str, Any]
_Each = TypeVar("_Each")


class _Span(NamedTuple):
    """Entries of one account in one file: where they begin, and where they end."""

    first_seq: int
    balance_before: int
    last_seq: int
    balance: int


@dataclass(slots=True)
class ArchiveReport:
    """What was looked at, and at most about MAX_PROBLEMS of what is wrong."""

    files: int = 0
    entries: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all of it is right."""
        return not self.problems


async def check(
    session: AsyncSession, directory: Path, *, files_done: Callable[[int, int], None] | None = None
) -> ArchiveReport:
    """Read every file of the archive, in the session's snapshot."""
    report = ArchiveReport()
    total = await session.scalar(select(func.count()).select_from(ArchivedSeal)) or 0
    chain = _Chain()
    for number in range(1, total + 1):
        await _check_file(session, directory, number, report, chain)
        if files_done is not None:
            files_done(number, total)
        if len(report.problems) >= MAX_PROBLEMS:
            return report
    if report.ok and not await chain.leads_to_the_openings(session):
        report.problems.append(
            {"problem": "the balances of the files do not follow each other to the opening balances"}
        )
    return report


async def _check_file(
    session: AsyncSession, directory: Path, number: int, report: ArchiveReport, chain: _Chain
) -> None:
    archived, made = await session.get(ArchivedSeal, number), await session.get(LedgerSeal, number)
    if archived is None or made is None:
        report.problems.append(
            {"seal_id": number, "problem": "the seal, or what was noted when it was archived, is gone"}
        )
        return
    session.expunge_all()
    path = directory / Path(archived.file_name).name
    if (broken := _broken_file(path, archived, made)) is not None:
        report.problems.append({"seal_id": number, "file": path.name, "problem": broken})
        return
    spans: dict[UUID, _Span] = {}
    found: list[Problem] = []
    for lines in _parts(_following(path, spans, found)):
        report.entries += len(lines)
        found += await _changed_transfers(session, lines)
    found += await _wrong_openings(session, number, spans)
    await chain.add(session, spans)
    report.files += 1
    report.problems += [{"seal_id": number, "file": path.name, **each} for each in found[:MAX_PROBLEMS]]


def _broken_file(path: Path, archived: ArchivedSeal, made: LedgerSeal) -> str | None:
    if not path.is_file():
        return "the file is missing"
    try:
        archive_files.require_content(path, made.hash)
    except FileDiffers:
        return "the file is not what its seal covers"
    return None if archive_files.hash_of(path) == archived.file_hash else "the file is not the one that was written"


def _following(path: Path, spans: dict[UUID, _Span], found: list[Problem]) -> Iterator[list[Any]]:
    """The entries of a file. Notes the span of each account, and where an entry does not follow the one before it."""
    for line in archive_files.entries_of(path):
        account_id, seq, balance = UUID(line[_ACCOUNT]), line[_SEQ], line[_BALANCE]
        change = line[_AMOUNT] if line[_DIRECTION] == "CREDIT" else -line[_AMOUNT]
        span = spans.get(account_id, _Span(seq, balance - change, seq - 1, balance - change))
        if (span.last_seq + 1, span.balance + change) != (seq, balance):
            found.append({"account_id": account_id, "seq": seq, "problem": "it does not follow the entry before it"})
        spans[account_id] = span._replace(last_seq=seq, balance=balance)
        yield line


async def _changed_transfers(session: AsyncSession, lines: list[list[Any]]) -> list[Problem]:
    ids = {line[_TRANSFER] for line in lines}
    rows = await session.execute(_TRANSFERS, {"ids": list(ids)})
    said = {str(transfer_id): json.loads(columns) for transfer_id, columns in rows}
    changed = {line[_TRANSFER] for line in lines if said.get(line[_TRANSFER]) != line[_OF_TRANSFER:]}
    return [{"transfer_id": each, "problem": "the transfer in the database is another"} for each in sorted(changed)]


async def _wrong_openings(session: AsyncSession, number: int, spans: Mapping[UUID, _Span]) -> list[Problem]:
    """Opening balances that this seal has left, and that are not where its file ends."""
    left = select(OpeningBalance.account_id, OpeningBalance.seq, OpeningBalance.balance)
    rows = await session.execute(left.where(OpeningBalance.seal_id == number))
    return [
        {"account_id": account_id, "seq": seq, "balance": balance, "problem": "the opening balance is not the file's"}
        for account_id, seq, balance in rows
        if account_id not in spans or (seq, balance) != (spans[account_id].last_seq, spans[account_id].balance)
    ]


class _Chain:
    """Whether spans follow each other from nothing to the opening balances, without keeping one per account.

    Each span adds the digest of where it ends and takes away that of where it begins. What is left of spans that follow
    each other is the digest of where the last ends.
    """

    def __init__(self) -> None:
        self._sum = 0

    async def add(self, session: AsyncSession, spans: Mapping[UUID, _Span]) -> None:
        """The spans of one file. Accounts that are not archived do not count."""
        for accounts in _parts(iter(spans)):
            archived = select(OpeningBalance.account_id).where(OpeningBalance.account_id.in_(accounts))
            for account_id in await session.scalars(archived):
                span = spans[account_id]
                self._sum += _digest(account_id, span.last_seq, span.balance)
                self._sum -= _digest(account_id, span.first_seq - 1, span.balance_before)

    async def leads_to_the_openings(self, session: AsyncSession) -> bool:
        """Ask this behind the last file."""
        columns = select(OpeningBalance.account_id, OpeningBalance.seq, OpeningBalance.balance)
        rows = await session.stream(columns.execution_options(yield_per=_LINES_AT_ONCE))
        async for account_id, seq, balance in rows:
            self._sum -= _digest(account_id, seq, balance)
        return self._sum % _MODULUS == 0


def _parts(iterator: Iterator[_Each]) -> Iterator[list[_Each]]:
    while part := list(islice(iterator, _LINES_AT_ONCE)):
        yield part


def _digest(account_id: UUID, seq: int, balance: int) -> int:
    """Nothing for an account without an entry."""
    if (seq, balance) == (0, 0):
        return 0
    return int.from_bytes(hashlib.sha256(_POINT.pack(account_id.bytes, seq, balance)).digest()[:16])
