"""A real SMTP server in the process of the test, which stores what it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope

from shared.outbox.settings import MailSettings
from tests.support.deadlines import deadline


@dataclass
class Mailbox:
    """An SMTP server that stores mail and answers as the test says."""

    received: list[EmailMessage] = field(default_factory=list)
    recipient_answers: dict[str, str] = field(default_factory=dict)
    data_answers: list[str] = field(default_factory=list)
    port: int = 0
    sessions: int = 0

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802 - aiosmtpd calls it so
        if address in self.recipient_answers:
            return self.recipient_answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd calls it so
        mail = message_from_bytes(envelope.original_content or b"", policy=default)
        assert isinstance(mail, EmailMessage)
        self.received.append(mail)
        return self.data_answers.pop(0) if self.data_answers else "250 OK"

    def settings(self, *, timeout_seconds: float = 20) -> MailSettings:
        return MailSettings(smtp_host="127.0.0.1", smtp_port=self.port, smtp_timeout_seconds=deadline(timeout_seconds))


Box = TypeVar("Box", bound=Mailbox)


@asynccontextmanager
async def listening(mailbox: Box) -> AsyncIterator[Box]:
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        mailbox.sessions += 1
        sessions.append(SMTP(mailbox, hostname="localhost", enable_SMTPUTF8=True))
        return sessions[-1]

    server = await loop.create_server(session, "127.0.0.1", 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        for open_session in sessions:
            if open_session.transport is not None:
                open_session.transport.close()
        await server.wait_closed()
