"""Hand the outbox to an SMTP server: every message at least once, and never in a hurry.

A message is taken by moving its next attempt into the future and committing that, so no lock and no transaction
waits for the mail server. Whoever dies halfway leaves a message that is due again when its lease ends; the copy
carries the same Message-ID.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from datetime import timedelta
from email.errors import MessageError

import aiosmtplib
from sqlalchemy import RowMapping, text

from shared import clock
from shared.config import MailSettings
from shared.db.engine import SessionMaker
from shared.outbox.mail import Letter, Unrenderable, render

BATCH = 100
"""The most one call sends; the next one goes on."""
MAX_TRIES = 20
MAX_REFUSALS = 3
"""A server that says 5xx to a message means it: this many tries, in case it was a passing mistake."""
RETRY_BASE_SECONDS = 30.0
RETRY_CAP_SECONDS = 3600.0
LEASE_MARGIN_SECONDS = 30.0
_PERMANENT = range(500, 600)

_ANY_DUE = text("SELECT EXISTS (SELECT FROM outbox_messages WHERE next_attempt_at <= :now)")
_TAKE = text("""
    WITH due AS (
        SELECT id FROM outbox_messages WHERE next_attempt_at <= :now
        ORDER BY next_attempt_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE outbox_messages message SET attempts = attempts + 1, next_attempt_at = :leased_until
        FROM due WHERE message.id = due.id RETURNING message.*
    )
    SELECT taken.id, taken.kind, taken.owner_id, taken.facts, taken.attempts, taken.created_at, owner.email,
           coalesce(person.first_name, shop.business_name) AS name
    FROM taken
    LEFT JOIN owners owner ON owner.id = taken.owner_id
    LEFT JOIN users person ON person.id = taken.owner_id
    LEFT JOIN merchants shop ON shop.id = taken.owner_id
""")
_SENT = text("""
    UPDATE outbox_messages SET sent_at = :now, next_attempt_at = NULL, last_error = NULL WHERE id = :id
""")
# Not when somebody else has taken it since, and perhaps sent it.
_FAILED = text("""
    UPDATE outbox_messages SET next_attempt_at = :next_attempt_at, last_error = :error
    WHERE id = :id AND sent_at IS NULL AND attempts = :attempts
""")

_logger = logging.getLogger(__name__)


class _ServerAway(Exception):
    """No mail gets through now, whoever it is for."""


async def deliver_due(sessionmaker: SessionMaker, settings: MailSettings) -> int:
    """Send what is due, up to BATCH messages; how many were handed over.

    Any number of callers may run at once. When the server cannot be reached nothing is tried: a message does not
    lose its tries to a mail server that is down. Never raises for what the server does.
    """
    async with sessionmaker() as session:
        if not await session.scalar(_ANY_DUE, {"now": clock.now()}):
            return 0
    server = _server(settings)
    try:
        async with asyncio.timeout(settings.smtp_timeout_seconds * 2):
            await server.connect()
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        _logger.warning("the mail server cannot be reached: %s", _words(error))
        server.close()
        return 0
    try:
        return await _deliver(sessionmaker, settings, server)
    finally:
        await _hang_up(server)


async def _deliver(sessionmaker: SessionMaker, settings: MailSettings, server: aiosmtplib.SMTP) -> int:
    sent = 0
    for _ in range(BATCH):
        row = await _take(sessionmaker, settings)
        if row is None:
            break
        try:
            await _send(row, settings, server)
        except _ServerAway as error:
            await _put_off(sessionmaker, row, error.__cause__ or error, tries=MAX_TRIES)
            break
        except (Unrenderable, aiosmtplib.SMTPException, MessageError, ValueError) as error:
            await _put_off(sessionmaker, row, error, tries=_tries(error))
        else:
            await _mark_sent(sessionmaker, row)
            sent += 1
    return sent


async def _take(sessionmaker: SessionMaker, settings: MailSettings) -> RowMapping | None:
    now = clock.now()
    lease_seconds = settings.smtp_timeout_seconds + LEASE_MARGIN_SECONDS
    values = {"now": now, "leased_until": now + timedelta(seconds=lease_seconds)}
    async with sessionmaker.begin() as session:
        return (await session.execute(_TAKE, values)).mappings().one_or_none()


async def _send(row: RowMapping, settings: MailSettings, server: aiosmtplib.SMTP) -> None:
    if row["email"] is None:
        raise Unrenderable("the owner does not exist")
    letter = Letter(
        id=row["id"],
        kind=row["kind"],
        facts=row["facts"],
        email=row["email"],
        name=row["name"] or "there",
        created_at=row["created_at"],
    )
    mail = render(letter, mail_from=settings.mail_from)
    try:
        async with asyncio.timeout(settings.smtp_timeout_seconds):
            await server.send_message(mail)
    except (OSError, TimeoutError, aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPHeloError) as error:
        raise _ServerAway from error


async def _mark_sent(sessionmaker: SessionMaker, row: RowMapping) -> None:
    async with sessionmaker.begin() as session:
        await session.execute(_SENT, {"id": row["id"], "now": clock.now()})


async def _put_off(sessionmaker: SessionMaker, row: RowMapping, error: BaseException, *, tries: int) -> None:
    """Try again later, or give up when it was tried often enough."""
    gives_up = row["attempts"] >= tries
    next_attempt_at = None if gives_up else clock.now() + timedelta(seconds=backoff_seconds(row["attempts"]))
    _logger.warning(
        "message %s, try %d: %s%s", row["id"], row["attempts"], _words(error), "; given up" if gives_up else ""
    )
    values = {"id": row["id"], "attempts": row["attempts"], "next_attempt_at": next_attempt_at, "error": _words(error)}
    async with sessionmaker.begin() as session:
        await session.execute(_FAILED, values)


def backoff_seconds(attempts: int) -> float:
    """Seconds until the next try: twice as long each time up to an hour, and up to half of it less, by chance."""
    longest = min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2.0 ** min(attempts - 1, 20))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


def _tries(error: BaseException) -> int:
    refused = isinstance(error, Unrenderable | MessageError | ValueError) or _code(error) in _PERMANENT
    return MAX_REFUSALS if refused else MAX_TRIES


def _code(error: BaseException) -> int | None:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return error.recipients[0].code if error.recipients else None
    return error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None


def _words(error: BaseException) -> str:
    """What went wrong, without the server's words: they may repeat addresses or credentials."""
    if isinstance(error, Unrenderable):
        return f"cannot be written: {error}"
    code = _code(error)
    return type(error).__name__ if code is None else f"{type(error).__name__} {code}"


def _server(settings: MailSettings) -> aiosmtplib.SMTP:
    password = settings.smtp_password
    return aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=None if password is None else password.get_secret_value(),
        timeout=settings.smtp_timeout_seconds,
        local_hostname=socket.gethostname(),  # asking for more would ask a name server
        use_tls=settings.smtp_tls == "implicit",
        start_tls=settings.smtp_tls == "starttls",
    )


async def _hang_up(server: aiosmtplib.SMTP) -> None:
    try:
        async with asyncio.timeout(1):
            await server.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        server.close()
