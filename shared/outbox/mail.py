"""Render a message of the outbox as a mail: plain text with an HTML alternative.

Text that people wrote (names, notes) becomes one line, so that it cannot add a header or a paragraph, and is escaped
in HTML. The message is built by the library's older classes: `EmailMessage`, which parses and folds each header, takes
four times as long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.charset import QP, Charset
from email.errors import MessageError
from email.header import Header
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP, compat32
from email.utils import format_datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError, select_autoescape

from shared import movement_words
from shared.banks.table import BANKS
from shared.money import PAISE_PER_RUPEE, Money

MAX_SUBJECT_LENGTH = 150
CACHED_ADDRESSES = 256
_AMOUNTS = ("amount", "balance_after", "gift")
_FACTS: Mapping[str, Mapping[str, Any]] = {
    "welcome": {"gift": None},
    "confirm_email": {"link": ""},
    "money_received": {"kind": "p2p", "from_name": None, "note": None, "transfer_id": "", "balance_after": None},
    "withdrawal_finished": {"withdrawal_id": "", "bank": "", "status": "", "utr": None, "reason": None},
    "proof_failed": {"started_at": "", "rules": ()},
}
"""The facts that the template of each kind uses, with their defaults. An amount has no default: it is required."""
_SUBJECTS = {
    "welcome": "Welcome to Batua",
    "confirm_email": "Confirm your email address",
    "proof_failed": "The proof of the books failed: no payout leaves",
}
# Control characters and bidirectional marks.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
# An address that needs neither quoting nor folding: all but a few.
_PLAIN_ADDRESS = re.compile(r"(?=.{1,70}$)[\w+-]+(\.[\w+-]+)*@[a-z0-9-]+(\.[a-z0-9-]+)+", re.ASCII | re.IGNORECASE)
# A subject that is sent as it is: others are encoded, such as one that a reader would take for encoded.
_PLAIN_SUBJECT = re.compile(r"(?!.*=\?)[ -~]+")
_UTF8 = Charset("utf-8")
_UTF8.body_encoding = QP
_BOUNDARY = "=_batua"
"""No part contains it: quoted-printable text has no other "=" than that of an escape."""
_WIRE = compat32.clone(linesep="\r\n")

_templates = Environment(
    loader=PackageLoader("shared.outbox"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Unrenderable(Exception):
    """The message cannot be rendered; a retry does not help."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Many messages that one mail tells of: how many, their amounts together in paise, the facts of the newest.

    `kinds` are the kinds of transfers among them, each with its count and its paise.
    """

    count: int
    amount: int
    newest: Sequence[Mapping[str, Any]]
    kinds: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Letter:
    """An outbox message, or a bundle of them, with the address and name of its owner."""

    id: UUID
    kind: str
    facts: Mapping[str, Any]
    email: str
    name: str
    created_at: datetime
    bundle: Bundle | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail as it is sent: the addresses of its envelope, and its headers and parts."""

    sender: str
    recipient: str
    content: bytes


def render(letter: Letter, *, mail_from: str) -> Rendered:
    """Render the mail. Its Message-ID is the id of the (first) message, so that a copy can be recognised.

    Raises Unrenderable for an unknown kind, a missing amount, or an address that is not allowed in a header.
    """
    try:
        if letter.bundle is None:
            return _compose(letter, letter.kind, _values(letter), mail_from)
        return _compose(letter, f"{letter.kind}_bundle", _bundle_values(letter, letter.bundle), mail_from)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, MessageError, TemplateError) as error:
        # The error text may repeat private text; its type is enough to find the cause.
        raise Unrenderable(type(error).__name__) from error


def _compose(letter: Letter, template: str, values: Mapping[str, Any], mail_from: str) -> Rendered:
    subject = _subject(template, values)[:MAX_SUBJECT_LENGTH].strip()
    sender, from_line = _address("From", mail_from)
    recipient, to_line = (letter.email,) * 2 if _PLAIN_ADDRESS.fullmatch(letter.email) else _address("To", letter.email)
    message = MIMEMultipart("alternative", boundary=_BOUNDARY)
    message["From"] = from_line
    message["To"] = to_line
    message["Subject"] = _header("Subject", subject)
    message["Date"] = format_datetime(letter.created_at)
    message["Message-ID"] = f"<{letter.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    text = _templates.get_template(f"{template}.txt").render(values)
    html = _templates.get_template(f"{template}.html").render({**values, "subject": subject})
    for part, subtype in ((text, "plain"), (html, "html")):
        message.attach(MIMEText(part, subtype, _UTF8))  # type: ignore[arg-type]  # the stubs know names only
    return Rendered(sender, recipient, message.as_bytes(policy=_WIRE))


@lru_cache(CACHED_ADDRESSES)
def _address(header: str, value: str) -> tuple[str, str]:
    """The address in it, and the header's value as it is sent. Raises ValueError unless it is exactly one address."""
    mail = EmailMessage(policy=SMTP)
    mail[header] = value
    parsed = mail[header]
    if len(parsed.addresses) != 1 or parsed.defects:
        raise ValueError("not one address")
    return parsed.addresses[0].addr_spec, parsed.fold(policy=SMTP).partition(":")[2].strip()


def _header(name: str, text: str) -> str:
    """The text as a header's value: folded, and encoded where it must be."""
    return Header(text, None if _PLAIN_SUBJECT.fullmatch(text) else _UTF8, header_name=name).encode()


def _values(letter: Letter) -> dict[str, Any]:
    return {**_facts(letter.kind, letter.facts), "name": one_line(letter.name)}


def _bundle_values(letter: Letter, bundle: Bundle) -> dict[str, Any]:
    newest = [_facts(letter.kind, facts) for facts in bundle.newest]
    return {
        "count": _grouped(bundle.count),
        "amount": str(Money(bundle.amount)),
        "newest": newest,
        "kinds": list(bundle.kinds),
        "sums": _sums(bundle) if not movement_words.PAYMENTS.issuperset(bundle.kinds) else [],
        "more": _grouped(bundle.count - len(newest)) if bundle.count > len(newest) else None,
        "name": one_line(letter.name),
    }


def _sums(bundle: Bundle) -> list[tuple[str, str, str]]:
    """Of a bundle that is not of payments alone: each kind's name, its count and its amount."""
    return [
        (words.all, _grouped(bundle.kinds[kind][0]), str(Money(bundle.kinds[kind][1])))
        for kind, words in movement_words.KINDS.items()
        if kind in bundle.kinds
    ]


def _grouped(count: int) -> str:
    """A number as people in India write it: `1,23,456`."""
    return str(Money(count * PAISE_PER_RUPEE)).removeprefix("₹").removesuffix(".00")


def _facts(kind: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    known = {**_FACTS[kind], **facts}
    values: dict[str, Any] = {key: _clean(value) for key, value in known.items()}
    values["rules"] = [_clean(rule) for rule in known.get("rules", ())]
    for key in _AMOUNTS:
        if values.get(key) is not None:
            values[key] = str(Money(values[key]))
    if "bank" in values:
        bank = BANKS.get(values["bank"])
        values["bank"] = bank.name if bank else values["bank"]
    if kind == "money_received":
        # Messages of the version before say no kind, and name a bank but for a payment.
        other = values["from_name"] = values["from_name"] or values.get("bank") or "Batua"
        if values["kind"] not in movement_words.KINDS:
            values["kind"] = "p2p"
        values["words"] = movement_words.words_of(values["kind"], is_incoming=True, other=other)
        values["said"] = movement_words.told_of(values["kind"], other=other, amount=values["amount"])
    return values


def _subject(kind: str, values: Mapping[str, Any]) -> str:
    match kind, values.get("status"):
        case (("welcome" | "confirm_email" | "proof_failed"), _):
            return _SUBJECTS[kind]
        case "money_received", _:
            return movement_words.subject_of(values["kind"], amount=values["amount"])
        case "money_received_bundle", _:
            kinds, count, amount = values["kinds"], values["count"], values["amount"]
            return movement_words.subject_of_many(kinds, count=count, amount=amount)
        case "withdrawal_finished", "succeeded":
            return f"{values['amount']} is on your bank account"
        case "withdrawal_finished", "reversed":
            return movement_words.subject_of("payout_reversal", amount=values["amount"])
        case "withdrawal_finished", _:
            return f"{values['amount']} could not be paid out"
        case _:
            raise KeyError(kind)


def _clean(value: Any) -> Any:
    return one_line(value) if isinstance(value, str) else value


def one_line(text: str) -> str:
    """The text on one line, without control characters or bidirectional marks."""
    return " ".join(_INVISIBLE.sub(" ", text).split())
