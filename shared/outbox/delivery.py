"""Deliver the outbox to an SMTP server: each mail at least once.

Mails are taken in batches, sent in one SMTP session and recorded in batches. Taking moves the next attempt into the
future and commits, so that no lock or transaction waits for the mail server. A worker that dies halfway leaves mails
that are due again when the lease ends; the copies have the same Message-ID.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from datetime import timedelta
from email.errors import MessageError

import aiosmtplib

from shared import clock
from shared.db.engine import SessionMaker
from shared.outbox import queue
from shared.outbox.mail import Bundle, Letter, Unrenderable, render
from shared.outbox.settings import MailSettings

RUN_SECONDS = 2.5
"""After this time, a run takes no further batch. The next run begins soon."""
BATCH_SECONDS = 20.0
"""Mails of a batch that are not sent by then are put back: a slow server must not outlast the lease."""
OPERATOR_KINDS = ("proof_failed",)
"""Kinds of mail that go to the operator."""
MAX_ATTEMPTS = 20
MAX_REFUSALS = 3
"""After this many SMTP 5xx answers (permanent failure, RFC 5321) a message is given up."""
RETRY_BASE_SECONDS = 30.0
RETRY_CAP_SECONDS = 3600.0
LEASE_MARGIN_SECONDS = 30.0
_PERMANENT = range(500, 600)
_CLOSING = 421

_logger = logging.getLogger(__name__)


class _ServerUnavailable(Exception):
    """The mail server accepts no message now."""


async def deliver_due(sessionmaker: SessionMaker, settings: MailSettings) -> int:
    """Send due mails, batch by batch, for about RUN_SECONDS. Returns how many the server accepted.

    Any number of callers may run at once. When the server cannot be reached, no mail loses an attempt.
    Raises nothing for errors of the server.
    """
    ends_at = time.monotonic() + RUN_SECONDS
    server = _server(settings)
    sent = 0
    try:
        await _gather(sessionmaker)
        goes_on = True
        while goes_on:
            accepted, goes_on = await _deliver_batch(sessionmaker, settings, server)
            sent += accepted
            goes_on = goes_on and accepted > 0 and time.monotonic() < ends_at
    finally:
        await _disconnect(server)
    return sent


async def _gather(sessionmaker: SessionMaker) -> None:
    """Gather all new messages before any is sent, so that a burst becomes one mail. Takes a run at most.

    It rests after each batch for as long as the batch took: requests use the same Postgres.
    """
    if not await queue.is_time_to_gather(sessionmaker):
        return
    ends_at = time.monotonic() + RUN_SECONDS
    began = time.monotonic()
    while await queue.gather(sessionmaker) == queue.GATHER_BATCH and time.monotonic() < ends_at:
        await asyncio.sleep(time.monotonic() - began)
        began = time.monotonic()


async def _deliver_batch(
    sessionmaker: SessionMaker, settings: MailSettings, server: aiosmtplib.SMTP
) -> tuple[int, bool]:
    """Send one batch. Returns how many mails the server accepted, and whether it is still there."""
    if not await queue.is_any_due(sessionmaker):
        return 0, True
    if not await _connect(server, settings):
        return 0, False
    lease_seconds = BATCH_SECONDS + settings.smtp_timeout_seconds * 3 + LEASE_MARGIN_SECONDS
    mails = await queue.take(sessionmaker, lease_seconds=lease_seconds)
    outcomes = queue.Outcomes(untried=mails[::-1])
    try:
        is_there = await _send_all(outcomes, settings, server)
    finally:
        # Also when this run is cancelled: what the server has accepted must not be sent again.
        await queue.record(sessionmaker, outcomes)
    return len(outcomes.sent), is_there


async def _send_all(outcomes: queue.Outcomes, settings: MailSettings, server: aiosmtplib.SMTP) -> bool:
    """Offer every mail to the server while it is there. Returns whether it still is."""
    ends_at = time.monotonic() + BATCH_SECONDS
    while outcomes.untried:
        if time.monotonic() > ends_at or not (server.is_connected or await _connect(server, settings)):
            return False
        mail = outcomes.untried.pop()
        try:
            await _send(mail, settings, server)
        except _ServerUnavailable as error:
            outcomes.failed.append(_failure(mail, error.__cause__ or error, max_attempts=MAX_ATTEMPTS))
            return False
        except (Unrenderable, aiosmtplib.SMTPException, MessageError, ValueError) as error:
            outcomes.failed.append(_failure(mail, error, max_attempts=_max_attempts(error)))
        else:
            outcomes.sent.append(mail)
    return True


async def _send(mail: queue.Taken, settings: MailSettings, server: aiosmtplib.SMTP) -> None:
    rendered = render(_letter(mail, settings.operator_email), mail_from=settings.mail_from)
    try:
        async with asyncio.timeout(settings.smtp_timeout_seconds):
            await server.sendmail(rendered.sender, rendered.recipient, rendered.content)
    except (OSError, TimeoutError, aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPHeloError) as error:
        raise _ServerUnavailable from error
    except aiosmtplib.SMTPException as error:
        if _code(error) == _CLOSING:
            raise _ServerUnavailable from error
        raise


def _letter(mail: queue.Taken, operator_email: str | None) -> Letter:
    email, name = (operator_email, "operator") if mail.kind in OPERATOR_KINDS else (mail.email, mail.name or "there")
    if mail.kind == "confirm_email":  # to the address to confirm, which is not yet the owner's when it was corrected
        email = mail.newest[0].get("to")
    if email is None:
        raise Unrenderable("the owner does not exist")
    is_bundle = mail.count > 1
    return Letter(
        id=mail.id,
        kind=mail.kind,
        facts=mail.newest[0],
        email=email,
        name=name,
        created_at=mail.closed_at if is_bundle else mail.created_at,
        bundle=Bundle(mail.count, mail.amount or 0, mail.newest, mail.kinds or {}) if is_bundle else None,
    )


def _failure(mail: queue.Taken, error: BaseException, *, max_attempts: int) -> queue.Failure:
    """Schedule the next attempt, or give up after `max_attempts`."""
    gives_up = mail.attempts >= max_attempts
    next_attempt_at = None if gives_up else clock.now() + timedelta(seconds=backoff_seconds(mail.attempts))
    end = "; given up" if gives_up else ""
    _logger.warning("message %s, try %d: %s%s", mail.id, mail.attempts, _describe(error), end)
    return queue.Failure(mail, _describe(error), next_attempt_at)


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


async def _connect(server: aiosmtplib.SMTP, settings: MailSettings) -> bool:
    """Connect if there is no connection. False: the server cannot be reached."""
    if server.is_connected:
        return True
    try:
        async with asyncio.timeout(settings.smtp_timeout_seconds * 2):
            await server.connect()
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        _logger.warning("the mail server cannot be reached: %s", _describe(error))
        server.close()
        return False
    return True


async def _disconnect(server: aiosmtplib.SMTP) -> None:
    if not server.is_connected:
        return
    try:
        async with asyncio.timeout(1):
            await server.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        server.close()
