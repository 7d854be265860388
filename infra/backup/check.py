"""Whether a restore would succeed now, and how much it would lose."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from infra.backup.archive import Archive, reach

UNARCHIVED_BYTES = 1024
"""A server without work writes a little WAL, which does not fill a segment. Less than this is no payment."""

_ARCHIVER = text("""
    SELECT last_archived_wal, last_archived_time, last_failed_time,
           CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_lsn()) END AS current_wal,
           CASE WHEN pg_is_in_recovery() THEN NULL
                ELSE (pg_walfile_name_offset(pg_current_wal_lsn())).file_offset END AS current_bytes
    FROM pg_stat_archiver
""")


@dataclass(frozen=True, slots=True)
class Server:
    """What the running server says about its archiving. Times are UTC."""

    archived: str | None
    archived_at: datetime | None
    failed_at: datetime | None
    current: str | None
    """The segment that is being written, None on a standby."""
    current_bytes: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """How old the last base backup and what is not archived may be."""

    backup_age: timedelta
    wal_age: timedelta


@dataclass(slots=True)
class Finding:
    """The state of the archive. Without problems, every moment from `backup_at` to `restorable_to` can be restored."""

    backup: str | None = None
    backup_at: datetime | None = None
    restorable_to: datetime | None = None
    """When the last segment that a restore reaches was archived: what was committed since may not be in it."""
    last_segment: str | None = None
    problems: list[str] = field(default_factory=list)


async def ask_server(session: AsyncSession) -> Server:
    """The state of archiving, from the server."""
    return Server(*(await session.execute(_ARCHIVER)).one())


def check(archive: Archive, server: Server | None, limits: Limits, *, now: datetime) -> Finding:
    """Look at the archive, and at what the server says. Raises OSError: the archive cannot be read."""
    finding = Finding()
    backups, segments = archive.backups(), archive.segments()
    if not backups:
        finding.problems.append("there is no base backup")
    else:
        newest = backups[-1]
        finding.backup, finding.backup_at = newest.path.name, newest.finished_at
        if now - newest.finished_at > limits.backup_age:
            finding.problems.append(f"the last base backup is {_words(now - newest.finished_at)} old")
        last = reach(newest.first, segments)
        if last is None:
            finding.problems.append(f"segment {newest.first.name} is missing: the last base backup has no WAL")
        else:
            finding.last_segment, finding.restorable_to = last.name, archive.archived_at(last)
            if last.number < segments[-1].number:
                finding.problems.append(f"WAL has a gap after {last.name}: a restore ends there")
            later = {segment.timeline for segment in segments if segment.timeline > newest.first.timeline}
            finding.problems += [
                f"{timeline:08X}.history is missing: a restore passes over that timeline. Take a base backup"
                for timeline in sorted(later)
                if not archive.has_history(timeline)
            ]
    if server is not None:
        finding.problems += _problems_of(server, limits, now)
    return finding


def _problems_of(server: Server, limits: Limits, now: datetime) -> list[str]:
    if server.archived_at is None:
        return ["the server has archived no WAL: set archive_mode and archive_library or archive_command"]
    if server.failed_at is not None and server.failed_at > server.archived_at:
        return [f"the server failed to archive WAL at {server.failed_at:%Y-%m-%d %H:%M:%S} UTC: see its log"]
    waits = server.current_bytes is not None and server.current_bytes > UNARCHIVED_BYTES
    if waits and now - server.archived_at > limits.wal_age:
        return [f"nothing was archived for {_words(now - server.archived_at)}: set archive_timeout"]
    return []


def _words(age: timedelta) -> str:
    hours, seconds = divmod(int(age.total_seconds()), 3600)
    return f"{hours} h" if hours else f"{seconds} s"
