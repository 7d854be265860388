"""Which moments an archive of backups can restore, and what is wrong with one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.backup.archive import Archive, Segment, reach
from infra.backup.check import Finding, Limits, Server, check

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LIMITS = Limits(timedelta(hours=26), timedelta(minutes=5))
Make = Callable[..., Archive]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """An archive with one base backup that begins in segment 3, and these segments."""

    def archive(*segments: Segment, backup_age: timedelta = timedelta(hours=1), partial: bool = False) -> Archive:
        folder = tmp_path / "base" / ("20260304.partial" if partial else "20260304")
        folder.mkdir(parents=True)
        (tmp_path / "wal").mkdir()
        manifest = folder / "backup_manifest"
        manifest.write_text(json.dumps({"WAL-Ranges": [{"Timeline": 1, "Start-LSN": "0/3000028"}]}))
        aged(manifest, backup_age)
        for segment in segments:
            (tmp_path / "wal" / segment.name).touch()
        return Archive(tmp_path)

    return archive


def aged(file: Path, age: timedelta) -> None:
    at = (NOW - age).timestamp()
    os.utime(file, (at, at))


def segments(*numbers: int, timeline: int = 1) -> list[Segment]:
    return [Segment(number, timeline) for number in numbers]


def server(**changed: object) -> Server:
    values = {
        "archived": Segment(5, 1).name,
        "archived_at": NOW - timedelta(minutes=1),
        "failed_at": None,
        "current": Segment(6, 1).name,
        "current_bytes": 100_000,
    }
    return Server(**{**values, **changed})  # type: ignore[arg-type]


def look(archive: Archive, said: Server | None = None) -> Finding:
    return check(archive, said, LIMITS, now=NOW)


@pytest.mark.parametrize("name", ["000000010000000000000003", "0000000A00000002000000FF"])
def test_a_segment_has_the_name_of_its_file(name: str) -> None:
    assert Segment.named(name).name == name


def test_the_next_segment_after_the_last_of_a_file_id_is_the_first_of_the_next() -> None:
    last = Segment.named("0000000100000001000000FF")
    assert Segment(last.number + 1, 1).name == "000000010000000200000000"


@pytest.mark.parametrize(
    ("there", "last"),
    [
        (segments(3, 4, 5), Segment(5, 1)),
        (segments(1, 2, 3), Segment(3, 1)),
        (segments(3, 5), Segment(3, 1)),
        (segments(4, 5), None),
        ([*segments(3, 4), *segments(4, 5, timeline=2)], Segment(5, 2)),  # promoted in the middle of segment 4
        ([*segments(3, 4), *segments(5, 6, timeline=2)], Segment(6, 2)),
        ([*segments(3, 4, timeline=2)], Segment(4, 2)),
        ([*segments(3), *segments(2, timeline=2)], Segment(3, 1)),
    ],
)
def test_a_restore_reaches_the_segment_before_the_first_gap(there: list[Segment], last: Segment | None) -> None:
    assert reach(Segment(3, 1), there) == last


def test_a_whole_archive_has_no_problem(make: Make) -> None:
    finding = look(make(*segments(2, 3, 4, 5)), server())
    assert finding.problems == []
    assert (finding.backup, finding.last_segment) == ("20260304", Segment(5, 1).name)
    assert finding.backup_at == NOW - timedelta(hours=1)


def test_what_is_not_a_segment_is_passed_over(make: Make) -> None:
    archive = make(*segments(3))
    for name in ("00000002.history", "000000010000000000000009.partial", "000000010000000000000003.00000028.backup"):
        (archive.wal / name).touch()
    assert look(archive).problems == []


def test_a_timeline_without_its_history_is_a_problem(make: Make) -> None:
    """No restore of an older base backup would get to it, although every segment is there."""
    archive = make(*segments(3, 4), *segments(4, 5, timeline=2))
    (problem,) = look(archive).problems
    assert problem.startswith("00000002.history is missing")
    (archive.wal / "00000002.history").touch()
    assert look(archive).problems == []


def test_each_problem_is_named(make: Make) -> None:
    assert look(make(*segments(3, 5), backup_age=timedelta(hours=30)), server(archived_at=None)).problems == [
        "the last base backup is 30 h old",
        f"WAL has a gap after {Segment(3, 1).name}: a restore ends there",
        "the server has archived no WAL: set archive_mode and archive_library or archive_command",
    ]


def test_a_backup_that_is_not_whole_does_not_count(make: Make) -> None:
    assert look(make(*segments(3), partial=True)).problems == ["there is no base backup"]


def test_a_backup_without_its_wal_is_a_problem(make: Make) -> None:
    (problem,) = look(make(*segments(4, 5))).problems
    assert "is missing" in problem


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (server(failed_at=NOW), "failed to archive"),
        (server(archived_at=NOW - timedelta(minutes=6)), "nothing was archived for 360 s"),
        (server(archived_at=NOW - timedelta(days=1), current_bytes=100), None),  # a server without work
        (server(archived_at=NOW - timedelta(days=1), current=None, current_bytes=None), None),  # a standby
        (server(failed_at=NOW - timedelta(hours=1)), None),  # it has archived since
    ],
)
def test_what_the_server_says_of_its_archiving(make: Make, said: Server, problem: str | None) -> None:
    problems = look(make(*segments(3)), said).problems
    assert (problem in problems[0]) if problem else problems == []


def test_an_archive_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        look(Archive(tmp_path / "nowhere"))
