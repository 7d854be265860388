"""Turn a message of the outbox into a mail: plain text with an HTML twin.

What people wrote (names, notes) is data here: one line each, so that it can start no header and no paragraph of
ours, and escaped in HTML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError, select_autoescape

from shared.money import Money

BANK_NAMES = {"hdfc": "HDFC Bank", "axis": "Axis Bank"}
MAX_SUBJECT_LENGTH = 150
_AMOUNTS = ("amount", "balance_after")
_FACTS: Mapping[str, Mapping[str, Any]] = {
    "welcome": {"wallet_id": ""},
    "money_received": {"from_name": "Somebody", "note": None, "transfer_id": "", "balance_after": None},
    "withdrawal_finished": {"withdrawal_id": "", "bank": "", "status": "", "utr": None, "reason": None},
}
"""What each kind's template may name, and what stands for a fact that was left out. An amount never is."""
# Control characters, and the marks that turn the direction of what follows.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")

_templates = Environment(
    loader=PackageLoader("shared.outbox"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Unrenderable(Exception):
    """The message cannot be made into a mail, now or ever."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the outbox with its owner's address."""

    id: UUID
    kind: str
    facts: Mapping[str, Any]
    email: str
    name: str
    created_at: datetime


def render(letter: Letter, *, mail_from: str) -> EmailMessage:
    """The mail. Its Message-ID is the outbox id, so that a copy can be told from a second mail.

    Raises Unrenderable: an unknown kind, a missing amount, an address that cannot stand in a header.
    """
    try:
        values = _values(letter)
        return _compose(letter, values, mail_from)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, MessageError, TemplateError) as error:
        # The words of the error may repeat what people wrote; its type is enough to find it.
        raise Unrenderable(type(error).__name__) from error


def _compose(letter: Letter, values: Mapping[str, Any], mail_from: str) -> EmailMessage:
    subject = _subject(letter.kind, values)[:MAX_SUBJECT_LENGTH]
    mail = EmailMessage()
    mail["From"] = mail_from
    mail["To"] = letter.email
    mail["Subject"] = subject
    mail["Date"] = format_datetime(letter.created_at)
    mail["Message-ID"] = f"<{letter.id}@{_domain(mail_from)}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_templates.get_template(f"{letter.kind}.txt").render(values))
    html = _templates.get_template(f"{letter.kind}.html").render({**values, "subject": subject})
    mail.add_alternative(html, subtype="html")
    return mail


def _values(letter: Letter) -> dict[str, Any]:
    known = {**_FACTS[letter.kind], **letter.facts}
    values: dict[str, Any] = {key: _clean(value) for key, value in known.items()}
    for key in _AMOUNTS:
        if values.get(key) is not None:
            values[key] = str(Money(values[key]))
    if "bank" in values:
        values["bank"] = BANK_NAMES.get(values["bank"], values["bank"])
    return {**values, "name": one_line(letter.name)}


def _subject(kind: str, values: Mapping[str, Any]) -> str:
    match kind, values.get("status"):
        case "welcome", _:
            return "Welcome to Batua"
        case "money_received", _:
            return f"{values['from_name']} sent you {values['amount']}"
        case "withdrawal_finished", "succeeded":
            return f"{values['amount']} is on your account at {values['bank']}"
        case "withdrawal_finished", "reversed":
            return f"{values['amount']} came back from {values['bank']}"
        case "withdrawal_finished", _:
            return f"{values['amount']} could not be paid out"
        case _:
            raise KeyError(kind)


def _clean(value: Any) -> Any:
    return one_line(value) if isinstance(value, str) else value


def one_line(text: str) -> str:
    """The text on one line, without anything invisible."""
    return " ".join(_INVISIBLE.sub(" ", text).split())


def _domain(mail_from: str) -> str:
    return parseaddr(mail_from)[1].rpartition("@")[2] or "localhost"
