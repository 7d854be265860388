"""What a payment link or a QR code asks for: `upi://pay?...` (NPCI, UPI linking), `/pay/...`, or a wallet id."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from pydantic import TypeAdapter, ValidationError

from shared.auth.rules import HANDLE_SUFFIX, is_handle
from shared.errors import Invalid
from shared.http.query_parameters import OptionalText
from shared.money import INR, MAX_MOVEMENT_PAISE, PAISE_PER_RUPEE
from shared.pages import formatting

MAX_LINK_LENGTH = 1000
MAX_PARAMETERS = 30
PAY_PATH = "/pay/"

_RUPEES = re.compile(r"(?P<rupees>\d{1,9})(?:\.(?P<paise>\d{1,2}))?", re.ASCII)
_NOTE: TypeAdapter[str | None] = TypeAdapter(OptionalText)
_UPI_PAYEE, _UPI_AMOUNT, _UPI_NOTE, _UPI_CURRENCY = "pa", "am", "tn", "cu"


@dataclass(eq=False)
class UnreadableLink(Invalid):
    """The text asks for no payment that Batua can make; `reason` says why, and what to do."""

    code: ClassVar[str] = "payment_link_unreadable"
    title: ClassVar[str] = "This asks for no payment that Batua can make"
    reason: str

    @property
    def detail(self) -> str:
        """The reason."""
        return self.reason


@dataclass(frozen=True, slots=True)
class PaymentLink:
    """A wallet to pay, with the amount (paise) and the note that the link proposes."""

    wallet_id: str
    amount: int | None = None
    note: str | None = None

    @property
    def path(self) -> str:
        """The page that pays it."""
        query = {
            name: value
            for name, value in (
                ("amount", None if self.amount is None else formatting.input_rupees(self.amount)),
                ("note", self.note),
            )
            if value
        }
        address = PAY_PATH + quote(self.wallet_id, safe="@")
        return f"{address}?{urlencode(query)}" if query else address


def read_payment_link(text: str, *, own_host: str) -> PaymentLink:
    """What `text` asks for. A web address counts only if it is one of `own_host`. Raises UnreadableLink."""
    typed = text.strip()
    if not typed or len(typed) > MAX_LINK_LENGTH:
        raise UnreadableLink("Paste a link that starts with upi://pay, or a wallet id such as asha@batua.")
    try:
        parts = urlsplit(typed)
    except ValueError:
        raise UnreadableLink("This is no address. Copy the link again, from its first letter to its last.") from None
    match parts.scheme.lower():
        case "upi":
            return _read_upi(parts)
        case "http" | "https":
            return _read_address(parts, own_host)
        case "" if typed.startswith(PAY_PATH):
            return _read_path(parts)
        case _:
            return PaymentLink(_wallet_id(typed))


def _read_upi(parts: SplitResult) -> PaymentLink:
    if (parts.netloc or parts.path).strip("/").lower() != "pay":
        raise UnreadableLink("This UPI code asks for something other than a payment.")
    given = _parameters(parts.query)
    if given.get(_UPI_CURRENCY, INR).upper() != INR:
        raise UnreadableLink("This code asks for another currency. Batua pays in rupees.")
    return PaymentLink(
        _wallet_id(given.get(_UPI_PAYEE, "")), _amount(given.get(_UPI_AMOUNT, "")), _note(given.get(_UPI_NOTE, ""))
    )


def _read_address(parts: SplitResult, own_host: str) -> PaymentLink:
    if parts.netloc.lower() != own_host.lower():
        raise UnreadableLink("This link leads to another site, not to Batua. Nothing was opened.")
    if not parts.path.startswith(PAY_PATH):
        raise UnreadableLink("This link opens another page of Batua, and asks for no payment.")
    return _read_path(parts)


def _read_path(parts: SplitResult) -> PaymentLink:
    given = _parameters(parts.query)
    wallet_id = unquote(parts.path.removeprefix(PAY_PATH))
    return PaymentLink(_wallet_id(wallet_id), _amount(given.get("amount", "")), _note(given.get("note", "")))


def _parameters(query: str) -> dict[str, str]:
    """By their names in lower case. A name that comes twice could mean either value, so it is refused."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise UnreadableLink("This code says too much to be a payment.") from None
    pairs = [(name.lower(), value) for name, value in pairs]
    if any(count > 1 for count in Counter(name for name, _ in pairs).values()):
        raise UnreadableLink("This code says something twice, so it is not clear what it asks for.")
    return dict(pairs)


def _wallet_id(typed: str) -> str:
    wallet_id = typed.strip().lower()
    if is_handle(wallet_id):
        return wallet_id
    if "@" in wallet_id and " " not in wallet_id:
        raise UnreadableLink(
            f"This asks to pay an account of another service. Batua pays ids that end in {HANDLE_SUFFIX}."
        )
    raise UnreadableLink("This asks for no payment. Look for a code or link that pays a wallet id such as asha@batua.")


def _amount(typed: str) -> int | None:
    """In paise; None if the link proposes none, and the payer enters it."""
    if not typed:
        return None
    found = _RUPEES.fullmatch(typed.strip())
    paise = 0 if found is None else int(found["rupees"]) * PAISE_PER_RUPEE + int((found["paise"] or "").ljust(2, "0"))
    if not 1 <= paise <= MAX_MOVEMENT_PAISE:
        raise UnreadableLink("The amount in this code cannot be read. Ask the shop for another code.")
    return paise


def _note(typed: str) -> str | None:
    """None for a note that no payer could write either: they can write another."""
    try:
        return _NOTE.validate_python(typed.strip())
    except ValidationError:
        return None
