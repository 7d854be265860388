"""Render a message of the outbox as a mail: plain text with an HTML alternative.

Text that people wrote (names, notes) becomes one line, so that it cannot add a header or a paragraph, and is escaped
in HTML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import BaseHeader, HeaderRegistry
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError, select_autoescape

from shared import movement_words
from shared.banks.table import BANKS
from shared.ids import new_token
from shared.money import PAISE_PER_RUPEE, Money

MAX_SUBJECT_LENGTH = 150
CACHED_HEADERS = 256
BOUNDARY = "=_batua"
"""What separates a mail's parts, unless one of them contains it."""
_AMOUNTS = ("amount", "balance_after", "gift")
_FACTS: Mapping[str, Mapping[str, Any]] = {
    "welcome": {"wallet_id": "", "gift": None},
    "money_received": {"kind": "p2p", "from_name": None, "note": None, "transfer_id": "", "balance_after": None},
    "withdrawal_finished": {"withdrawal_id": "", "bank": "", "status": "", "utr": None, "reason": None},
}
"""The facts that the template of each kind uses, with their defaults. An amount has no default: it is required."""
# Control characters and bidirectional marks.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


class _Header(BaseHeader):
    """A header that is folded once for each policy."""

    def fold(self, *, policy: Any) -> str:
        """The header's lines."""
        key = f"folded {policy.linesep!r} {policy.utf8} {policy.cte_type}"
        if key not in self.__dict__:
            self.__dict__[key] = super().fold(policy=policy)
        return str(self.__dict__[key])


# Values that need neither quoting nor folding. They differ from mail to mail.
_PLAIN = {
    "To": re.compile(r"(?=.{1,70}$)[\w+-]+(\.[\w+-]+)*@[a-z0-9-]+(\.[a-z0-9-]+)+", re.ASCII | re.IGNORECASE),
    "Date": re.compile(r"[A-Za-z0-9 ,:+-]{1,60}"),
    "Message-ID": re.compile(r"(?=.{1,60}$)<[0-9a-f-]+@[a-z0-9-]+(\.[a-z0-9-]+)+>"),
}


class _PlainHeader(str):
    """A header whose value goes out as it is: to parse and fold one costs more than the rest of a mail."""

    name: str

    def fold(self, *, policy: Any) -> str:
        """The header's line."""
        return f"{self.name}: {self}{policy.linesep}"


class _Headers(HeaderRegistry):
    """Makes a header once for each value: they never change, most are the same in every mail, and to parse and fold
    them was half the cost of one. The class of a header, too, is made once and not for each mail."""

    def __init__(self) -> None:
        super().__init__(base_class=_Header)
        self._class_of = lru_cache(CACHED_HEADERS)(super().__getitem__)
        self._header = lru_cache(CACHED_HEADERS)(super().__call__)

    def __getitem__(self, name: str) -> type:
        return self._class_of(name)

    def __call__(self, name: str, value: Any) -> BaseHeader:
        if name in _PLAIN and _PLAIN[name].fullmatch(value):
            plain = _PlainHeader(value)
            plain.name = name
            return cast(BaseHeader, plain)
        return self._header(name, value)


_policy = default.clone(header_factory=_Headers())
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


def render(letter: Letter, *, mail_from: str) -> EmailMessage:
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


def _compose(letter: Letter, template: str, values: Mapping[str, Any], mail_from: str) -> EmailMessage:
    subject = _subject(template, values)[:MAX_SUBJECT_LENGTH]
    mail = EmailMessage(policy=_policy)
    mail["From"] = mail_from
    mail["To"] = letter.email
    mail["Subject"] = subject
    mail["Date"] = format_datetime(letter.created_at)
    mail["Message-ID"] = f"<{letter.id}@{_domain(mail_from)}>"
    mail["Auto-Submitted"] = "auto-generated"
    text = _templates.get_template(f"{template}.txt").render(values)
    html = _templates.get_template(f"{template}.html").render({**values, "subject": subject})
    mail.set_content(text)
    mail.make_alternative(boundary=_boundary(text, html))
    mail.add_alternative(html, subtype="html")
    return mail


def _boundary(*parts: str) -> str:
    """The same in every mail, so that its header is made once; another one where text of people contains it."""
    return new_token(24) if any(BOUNDARY in part for part in parts) else BOUNDARY


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
        values["said"] = movement_words.subject_of(values["kind"], other=other, amount=values["amount"])
    return values


def _subject(kind: str, values: Mapping[str, Any]) -> str:
    match kind, values.get("status"):
        case "welcome", _:
            return "Welcome to Batua"
        case "money_received", _:
            return str(values["said"])
        case "money_received_bundle", _:
            kinds, count, amount = values["kinds"], values["count"], values["amount"]
            return movement_words.subject_of_many(kinds, count=count, amount=amount)
        case "withdrawal_finished", "succeeded":
            return f"{values['amount']} is on your account at {values['bank']}"
        case "withdrawal_finished", "reversed":
            return movement_words.subject_of("payout_reversal", other=values["bank"], amount=values["amount"])
        case "withdrawal_finished", _:
            return f"{values['amount']} could not be paid out"
        case _:
            raise KeyError(kind)


def _clean(value: Any) -> Any:
    return one_line(value) if isinstance(value, str) else value


def one_line(text: str) -> str:
    """The text on one line, without control characters or bidirectional marks."""
    return " ".join(_INVISIBLE.sub(" ", text).split())


def _domain(mail_from: str) -> str:
    return parseaddr(mail_from)[1].rpartition("@")[2] or "localhost"
