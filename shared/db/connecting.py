"""Open the driver's connections: to whichever host is the primary, and by way of a pooler.

A pooler in transaction mode gives each transaction a server connection of its choice. So nothing may be left on one for
later, prepared statements among them, and which server answers is not settled when a connection is opened.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import asyncpg

from shared.addresses import each_host
from shared.db.outages import is_outage

CONNECT_TIMEOUT_SECONDS = 5.0
HEAD_START_SECONDS = 1.0

Server = Literal["primary", "read-write", "any", "standby", "prefer-standby", "read-only"]
"""What a server must be, in libpq's words for `target_session_attrs`."""

_SERVER_BEHIND_POOLER = """
    SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
           ARRAY(SELECT name FROM unnest($1::text[]) AS name WHERE current_setting(name) = '0')
"""

_ARRAYS = ("boolean", "int", "bigint", "uuid", "date", "timestamptz", "varchar", "text", "json", "jsonb")
_ASK_FOR_ARRAYS = f"SELECT {', '.join(f'${number}::{name}[]' for number, name in enumerate(_ARRAYS, 1))}"

_logger = logging.getLogger(__name__)


class Connector:
    """Opens connections to the hosts of one URL, the one that was right the last time first."""

    def __init__(
        self,
        url: str,
        *,
        server: Server,
        is_pooled: bool = False,
        limits: Sequence[str] = (),
        connect: Mapping[str, Any] | None = None,
    ) -> None:
        """`connect` is passed to the driver. `limits` are timeouts that the role must have behind a pooler."""
        scheme, separator, rest = url.partition("://")
        self._urls = deque(each_host(scheme.partition("+")[0] + separator + rest))
        self._server = server
        self._limits = limits
        self.is_pooled = is_pooled
        # A pooler repeats what a server said of itself once, so of servers behind it only a statement tells.
        own = (
            {"statement_cache_size": 0, "target_session_attrs": "any"}
            if is_pooled
            else {"target_session_attrs": server}
        )
        self._connect = {"timeout": CONNECT_TIMEOUT_SECONDS, **own, **(connect or {})}
        self._has_warned = False

    async def connect(self) -> asyncpg.Connection:
        """A connection to a host that is what it must be. Raises what the driver raises.

        Beyond a head start, a host that does not answer holds up no other. The driver's own way through several hosts
        has one time limit for all of them, which the first may use up.
        """
        errors: list[BaseException] = []
        waiting = list(self._urls)
        attempts: dict[asyncio.Task[asyncpg.Connection], str] = {}
        try:
            while waiting or attempts:
                if waiting:
                    url = waiting.pop(0)
                    attempts[asyncio.create_task(self._connect_to(url))] = url
                done, _ = await asyncio.wait(
                    attempts, timeout=HEAD_START_SECONDS if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for attempt in done:
                    error = attempt.exception()
                    if error is None:
                        self._go_first(attempts.pop(attempt))
                        return attempt.result()
                    errors.append(error)
                    del attempts[attempt]
        finally:
            for attempt in attempts:
                attempt.cancel()
                attempt.add_done_callback(_hang_up)
        # A password that is wrong tells more than a host that is away.
        raise next((error for error in errors if not is_outage(error)), errors[-1])

    async def _connect_to(self, url: str) -> asyncpg.Connection:
        connection = await asyncpg.connect(url, **self._connect)
        if self.is_pooled:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                    await self._look_behind_pooler(connection)
            except BaseException:
                connection.terminate()
                raise
        return connection

    async def _look_behind_pooler(self, connection: asyncpg.Connection) -> None:
        is_standby, is_read_only, unlimited = await connection.fetchrow(_SERVER_BEHIND_POOLER, self._limits)
        wanted = {
            "primary": not is_standby,
            "read-write": not is_read_only,
            "standby": is_standby,
            "read-only": is_read_only,
        }
        if not wanted.get(self._server, True):
            raise asyncpg.TargetServerAttributeNotMatched(f"the server behind the pooler is not {self._server}")
        if unlimited and not self._has_warned:
            self._has_warned = True
            _logger.warning(
                "no limit by %s: behind a pooler the role sets it; run `batua migrate --service-roles`",
                ", ".join(unlimited),
            )

    def _go_first(self, url: str) -> None:
        self._urls.remove(url)
        self._urls.appendleft(url)


async def learn_arrays(connection: asyncpg.Connection) -> None:
    """Let the driver look up the types of arrays, as it would when it first meets them.

    It turns `jit` off meanwhile, for the session. What is rolled back leaves nothing on the server's connection.
    """
    transaction = connection.transaction()
    await transaction.start()
    await connection.prepare(_ASK_FOR_ARRAYS)
    await transaction.rollback()


def _hang_up(attempt: asyncio.Task[asyncpg.Connection]) -> None:
    """Close what another host was faster than."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()
