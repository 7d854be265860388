"""A standby of the tests' Postgres: a copy that follows it, answers reads only, and takes its place when promoted."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import asyncpg
import psutil
from sqlalchemy.engine import make_url

from infra.local.layout import PROCESSES, Layout
from infra.local.postgres import accepts_connections, program, server_command
from infra.local.privileges import find_way, own_directory, wrapped
from tests.support.deadlines import deadline
from tests.support.waiting import eventually, eventually_async

COPY_SECONDS = 60
POSTGRES_OFFSET = PROCESSES["postgres"].port_offset or 0


class Standby:
    """A running copy of the server of `primary_url`."""

    def __init__(self, primary_url: str, port: int, pid: int) -> None:
        self.port = port
        self._pid = pid
        self._primary = make_url(primary_url)
        self._own = self._primary.set(port=port)

    async def promote(self) -> None:
        """Make it a primary of its own. It has what was committed before `caught_up`."""
        await self._execute("SELECT pg_promote(wait => true)")

    async def caught_up(self) -> None:
        """Wait until it has replayed all that the primary has written by now."""
        primary = await asyncpg.connect(self._primary.render_as_string(hide_password=False))
        own = await asyncpg.connect(self._own.render_as_string(hide_password=False))
        try:
            written = await primary.fetchval("SELECT pg_current_wal_lsn()::text")

            async def has_replayed() -> bool:
                return bool(await own.fetchval("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", written))

            await eventually_async(has_replayed, "the standby has replayed what was written")
        finally:
            await primary.close()
            await own.close()

    async def delay(self, seconds: float) -> None:
        """From now on show what was committed only so long after it was."""
        await self._set("recovery_min_apply_delay", f"'{seconds}s'")

    def pause(self, stands_still: bool) -> None:
        """Let no process of it answer, as one whose network is cut; or let it go on."""
        server = psutil.Process(self._pid)
        if stands_still:
            server.suspend()  # first, so that it starts no other
        for process in server.children():
            with suppress(psutil.NoSuchProcess):  # a connection that was closed a moment ago
                process.suspend() if stands_still else process.resume()
        if not stands_still:
            server.resume()

    async def refuse_writes(self, refused: bool) -> None:
        """Make transactions read-only by default, on open connections too: what a full disk or an operator does."""
        await self._set("default_transaction_read_only", "on" if refused else "off")

    async def _set(self, name: str, value: str) -> None:
        """Wait until each of its processes goes by it: it tells them some time after it was asked to."""
        before = await self._told_at()
        await self._execute(f"ALTER SYSTEM SET {name} = {value}")
        await self._execute("SELECT pg_reload_conf()")

        async def are_told() -> bool:
            return await self._told_at() > before

        await eventually_async(are_told, f"the standby goes by {name}")

    async def _told_at(self) -> datetime:
        """When the server last read its settings, and told those that ran: a new process knows it from the server."""
        connection = await asyncpg.connect(self._own.render_as_string(hide_password=False))
        try:
            told_at: datetime = await connection.fetchval("SELECT pg_conf_load_time()")
            return told_at
        finally:
            await connection.close()

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(
            self._own.render_as_string(hide_password=False), server_settings={"default_transaction_read_only": "off"}
        )
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def standby_of(primary_url: str, home: Path, port_base: int) -> Iterator[Standby]:
    """A standby that streams from the server of this superuser's URL; nothing of it is left at the end."""
    layout = Layout(home, port_base)
    layout.postgres.mkdir(parents=True)
    way = find_way(directory=layout.postgres, program=program("pg_config"))
    own_directory(way, layout.postgres)
    primary = make_url(primary_url).set(drivername="postgresql", query={}).render_as_string(hide_password=False)
    copy = [str(program("pg_basebackup")), "--pgdata", str(layout.postgres_data), "--write-recovery-conf", "--no-sync"]
    copy += ["--checkpoint", "fast", "--wal-method", "stream", "--dbname", primary]
    # What the standby has not read yet stays: each new database of another test lets the server remove its old log.
    slot = f"standby_{layout.port('postgres')}"
    copy += ["--create-slot", "--slot", slot]
    subprocess.run(wrapped(way, copy), check=True, capture_output=True, timeout=deadline(COPY_SECONDS))
    with (home / "postgres.log").open("wb") as log:
        server = subprocess.Popen(wrapped(way, server_command(layout)), stdout=log, stderr=log)
    try:
        eventually(lambda: accepts_connections(layout), "the standby accepts connections", seconds=COPY_SECONDS)
        yield Standby(primary_url, port_base + POSTGRES_OFFSET, server.pid)
    finally:
        server.send_signal(signal.SIGCONT)
        server.send_signal(signal.SIGQUIT)  # its data goes: neither clients nor the disk are waited for
        server.wait(deadline())
        shutil.rmtree(home, ignore_errors=True)
        asyncio.run(_drop_slot(primary, slot))


async def _drop_slot(primary: str, slot: str) -> None:
    connection = await asyncpg.connect(primary)
    unused = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active"

    async def is_dropped() -> bool:
        return bool(await connection.fetch(unused, slot))

    try:
        await eventually_async(is_dropped, "the log that was kept for the standby is given up")
    finally:
        await connection.close()
