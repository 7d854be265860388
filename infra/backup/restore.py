"""Restore a moment of the past into a new data directory: a base backup, and the WAL from there to the moment.

A server is started on the copy, where no one can connect to it, replays the WAL, begins a new timeline and is stopped.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

from infra.backup.archive import Archive, BaseBackup
from infra.backup.programs import ProgramFailed, find, run
from infra.local.errors import StackError
from infra.local.layout import CHECKOUT
from infra.local.privileges import find_way, own_directory, wrapped

VERIFY_SECONDS = 3600.0
STOP_SECONDS = 120.0
PAUSE_SECONDS = 0.1
_REPLAYED = "in production"


class NothingToRestore(StackError):
    """The archive has no base backup from before the moment, or the place for the new one is taken."""


def restore(archive: Archive, into: Path, *, to: datetime | None, seconds: float) -> BaseBackup:
    """Make the data directory `into` as the server was at `to`, or as far as the archive goes; answers the backup used.

    Raises NothingToRestore, and ProgramFailed: the WAL does not reach the moment, or takes longer than `seconds`.
    """
    backups = [backup for backup in archive.backups() if to is None or backup.finished_at <= to]
    if not backups:
        raise NothingToRestore(f"{archive.base} has no base backup from before {to}")
    if into.exists() and any(into.iterdir()):
        raise NothingToRestore(f"{into} is not empty: restore into a new directory")
    shutil.copytree(backups[-1].path, into, dirs_exist_ok=True)
    into.chmod(0o700)
    run([str(find("pg_verifybackup")), str(into)], seconds=VERIFY_SECONDS)
    settings = into / "postgresql.auto.conf"
    as_it_was = settings.read_text(encoding="utf-8")
    settings.write_text(as_it_was + _recovery_settings(archive, to), encoding="utf-8")
    (into / "recovery.signal").touch()
    _replay(into, seconds)
    settings.write_text(as_it_was, encoding="utf-8")
    return backups[-1]


def _has_replayed(into: Path) -> bool:
    """The signal goes at the end of the recovery. Before it begins, the copy's state is that of the running server."""
    if (into / "recovery.signal").exists():
        return False
    return _REPLAYED in run([str(find("pg_controldata")), str(into)], seconds=STOP_SECONDS)


def _recovery_settings(archive: Archive, to: datetime | None) -> str:
    wal = str(archive.wal.resolve()).replace("'", "''").replace("%", "%%")
    lines = ["", f'restore_command = \'cp "{wal}/%f" "%p"\'', "recovery_target_action = 'promote'"]
    if to is not None:
        lines.append(f"recovery_target_time = '{to.isoformat()}'")
    return "\n".join(lines) + "\n"


def _replay(into: Path, seconds: float) -> None:
    way = find_way(directory=into, program=find("pg_config"))
    own_directory(way, into)
    with tempfile.TemporaryDirectory(prefix="batua-restore-") as private, tempfile.TemporaryFile("w+") as log:
        own_directory(way, Path(private))
        # It may have fewer connections than the server that was backed up, because it serves none.
        command = [str(find("postgres")), "-D", str(into), "-c", "listen_addresses=", "-c", "hot_standby=off"]
        command += ["-c", f"unix_socket_directories={private}", "-c", "logging_collector=off"]
        # It archives nothing, but leaves a note of what is to be archived: above all the history of the new timeline,
        # without which a later restore would not find the way from an older base backup to what is written from now on.
        command += ["-c", "archive_mode=on", "-c", "archive_library=", "-c", "archive_command="]
        server = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            wrapped(way, command), cwd=CHECKOUT, stdout=log, stderr=log
        )
        try:
            ends_at = time.monotonic() + seconds
            while not _has_replayed(into):
                if server.poll() is not None or time.monotonic() > ends_at:
                    log.seek(0)
                    raise ProgramFailed(f"the moment is not reached: {log.read()[-2000:].strip()}")
                time.sleep(PAUSE_SECONDS)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(STOP_SECONDS)
