"""Deliver the outbox to an SMTP server: each message at least once.

Taking a message moves its next attempt into the future and commits, so that no lock or transaction waits for the mail
server. A worker that dies halfway leaves a message that is due again when the lease ends; the copy has the same
Message-ID.
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
"""One call sends at most this many messages."""
MAX_ATTEMPTS = 20
MAX_REFUSALS = 3
"""After this many SMTP 5xx answers (permanent failure, RFC 5321) a message is given up."""
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
# Changes nothing if another worker has taken the message since and may have sent it.
_FAILED = text("""
    UPDATE outbox_messages SET next_attempt_at = :next_attempt_at, last_error = :error
    WHERE id = :id AND sent_at IS NULL AND attempts = :attempts
""")

_logger = logging.getLogger(__name__)


class _ServerUnavailable(Exception):
    """The mail server accepts no message now."""


async def deliver_due(sessionmaker: SessionMaker, settings: MailSettings) -> int:
    """Send due messages, at most BATCH. Answers how many the server accepted.

    Any number of callers may run at once. When the server cannot be reached, no message loses an attempt.
    Raises nothing for errors of the server.
    """
    async with sessionmaker() as session:
        if not await session.scalar(_ANY_DUE, {"now": clock.now()}):
            return 0
    server = _server(settings)
    try:
        async with asyncio.timeout(settings.smtp_timeout_seconds * 2):
            await server.connect()
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        _logger.warning("the mail server cannot be reached: %s", _describe(error))
        server.close()
        return 0
    try:
        return await _deliver(sessionmaker, settings, server)
    finally:
        await _disconnect(server)


async def _deliver(sessionmaker: SessionMaker, settings: MailSettings, server: aiosmtplib.SMTP) -> int:
    sent = 0
    for _ in range(BATCH):
        row = await _take(sessionmaker, settings)
        if row is None:
            break
        try:
            await _send(row, settings, server)
        except _ServerUnavailable as error:
            await _retry_later(sessionmaker, row, error.__cause__ or error, max_attempts=MAX_ATTEMPTS)
            break
        except (Unrenderable, aiosmtplib.SMTPException, MessageError, ValueError) as error:
            await _retry_later(sessionmaker, row, error, max_attempts=_max_attempts(error))
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
        raise _ServerUnavailable from error


async def _mark_sent(sessionmaker: SessionMaker, row: RowMapping) -> None:
    async with sessionmaker.begin() as session:
        await session.execute(_SENT, {"id": row["id"], "now": clock.now()})


async def _retry_later(sessionmaker: SessionMaker, row: RowMapping, error: BaseException, *, max_attempts: int) -> None:
    """Schedule the next attempt, or give up after `max_attempts`."""
    gives_up = row["attempts"] >= max_attempts
    next_attempt_at = None if gives_up else clock.now() + timedelta(seconds=backoff_seconds(row["attempts"]))
    _logger.warning(
        "message %s, try %d: %s%s", row["id"], row["attempts"], _describe(error), "; given up" if gives_up else ""
    )
    values = {
        "id": row["id"],
        "attempts": row["attempts"],
        "next_attempt_at": next_attempt_at,
        "error": _describe(error),
    }
    async with sessionmaker.begin() as session:
        await session.execute(_FAILED, values)


def backoff_seconds(attempts: int) -> float:
    """Seconds until the next attempt: doubles up to RETRY_CAP_SECONDS, minus a random part of at most half."""
    longest = min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2.0 ** min(attempts - 1, 20))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


def _max_attempts(error: BaseException) -> int:
    refused = isinstance(error, Unrenderable | MessageError | ValueError) or _code(error) in _PERMANENT
    return MAX_REFUSALS if refused else MAX_ATTEMPTS


def _code(error: BaseException) -> int | None:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return error.recipients[0].code if error.recipients else None
    return error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None


def _describe(error: BaseException) -> str:
    """The error without the server's text, which may contain addresses or credentials."""
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
        local_hostname=socket.gethostname(),  # a full name would need a DNS query
        use_tls=settings.smtp_tls == "implicit",
        start_tls=settings.smtp_tls == "starttls",
    )


async def _disconnect(server: aiosmtplib.SMTP) -> None:
    try:
        async with asyncio.timeout(1):
            await server.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        server.close()
