"""How outgoing mail is handed on: read from `BATUA_SMTP_*` by the worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, SecretStr

from shared.addresses import Address
from shared.config import PrivateNetworkSettings
from shared.production import plain_text


class MailSettings(PrivateNetworkSettings):
    """The SMTP server that outgoing mail is handed to."""

    smtp_host: str
    """Its host name."""
    smtp_port: int = Field(ge=1, le=65535)
    """Its port."""
    smtp_username: str | None = None
    """User name, when the server wants one."""
    smtp_password: SecretStr | None = None
    """Password of that user."""
    smtp_tls: Literal["none", "starttls", "implicit"] = "none"
    """How the connection is encrypted: not at all, by STARTTLS, or from the first byte."""
    smtp_timeout_seconds: float = Field(default=10.0, gt=0)
    """How long one mail may take, connecting included."""
    mail_from: str = "Batua <no-reply@batua.example>"
    """Sender of all mail."""
    operator_email: str | None = Field(default=None, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")
    """Who is told by mail when the proof of the books fails. Not set: only the logs and metrics tell."""

    def refusals(self) -> Iterator[str]:
        """Mail, and the password of its server, in plain text."""
        yield from super().refusals()
        address = Address((self.smtp_host,), "", is_encrypted=self.smtp_tls != "none")
        yield from plain_text("BATUA_SMTP_HOST", address, self.private, "set BATUA_SMTP_TLS to starttls")
