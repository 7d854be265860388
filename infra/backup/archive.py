"""A directory with base backups (`base/`, one folder each) and archived WAL (`wal/`), as Postgres's programs write it.

Segments of WAL are numbered without a gap. To restore a moment, the base backup before it and every segment from there
to the moment must be there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SEGMENT_BYTES = 16 * 1024 * 1024
_SEGMENTS_PER_FILE_ID = 0x1_0000_0000 // SEGMENT_BYTES
_SEGMENT_NAME = re.compile(r"[0-9A-F]{24}")


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """A segment of WAL: its number grows with every segment, its timeline with every promotion."""

    number: int
    timeline: int

    @classmethod
    def named(cls, name: str) -> Segment:
        """The segment of a file's name: timeline, file id and part, eight hexadecimal digits each."""
        timeline, file_id, part = (int(name[start : start + 8], 16) for start in (0, 8, 16))
        return cls(file_id * _SEGMENTS_PER_FILE_ID + part, timeline)

    @property
    def name(self) -> str:
        """The name of its file."""
        file_id, part = divmod(self.number, _SEGMENTS_PER_FILE_ID)
        return f"{self.timeline:08X}{file_id:08X}{part:08X}"


@dataclass(frozen=True, slots=True)
class BaseBackup:
    """A whole copy of a data directory, with the segment that a restore of it begins with."""

    path: Path
    finished_at: datetime
    first: Segment


@dataclass(frozen=True, slots=True)
class Archive:
    """Where backups are kept."""

    directory: Path

    @property
    def base(self) -> Path:
        """One folder for each base backup; what is being written ends in `.partial`."""
        return self.directory / "base"

    @property
    def wal(self) -> Path:
        """The archived segments."""
        return self.directory / "wal"

    def backups(self) -> list[BaseBackup]:
        """The whole base backups, oldest first. Raises OSError."""
        manifests = [path for path in self.base.glob("*/backup_manifest") if path.parent.suffix != ".partial"]
        return sorted(map(_read_backup, manifests), key=lambda backup: backup.finished_at)

    def segments(self) -> list[Segment]:
        """The archived segments in their order. Raises OSError."""
        names = (path.name for path in self.wal.iterdir())
        return sorted(Segment.named(name) for name in names if _SEGMENT_NAME.fullmatch(name))

    def has_history(self, timeline: int) -> bool:
        """Whether a restore finds out where this timeline began: else it stays on the one before."""
        return (self.wal / f"{timeline:08X}.history").exists()

    def archived_at(self, segment: Segment) -> datetime:
        """When the segment was archived (UTC)."""
        return datetime.fromtimestamp((self.wal / segment.name).stat().st_mtime, UTC)


def reach(first: Segment, segments: Collection[Segment]) -> Segment | None:
    """The last segment that can be replayed from `first` on without a gap; None when even that one is missing.

    After a promotion WAL goes on under a new timeline, in a segment of the same number or the next.
    """
    there = set(segments)
    newest_timeline = max((segment.timeline for segment in there), default=first.timeline)

    def next_of(number: int, timeline: int) -> Segment | None:
        timelines = range(timeline, newest_timeline + 1)
        return next((found for each in timelines if (found := Segment(number, each)) in there), None)

    last = None
    here = next_of(first.number, first.timeline)
    while here is not None:
        last = here
        here = next_of(last.number + 1, last.timeline) or next_of(last.number, last.timeline + 1)
    return last


def _read_backup(manifest: Path) -> BaseBackup:
    ranges: Sequence[dict[str, str | int]] = json.loads(manifest.read_bytes())["WAL-Ranges"]
    high, low = (int(part, 16) for part in str(ranges[0]["Start-LSN"]).split("/"))
    first = Segment(high * _SEGMENTS_PER_FILE_ID + low // SEGMENT_BYTES, int(ranges[0]["Timeline"]))
    return BaseBackup(manifest.parent, datetime.fromtimestamp(manifest.stat().st_mtime, UTC), first)
