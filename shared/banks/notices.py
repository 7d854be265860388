"""What a bank tells us on its own: a payment was approved or declined, a payout is done, refused or came back.

Every bank writes notices in a format of its own; its adapter (`hdfc`, `axis`) translates. Amounts are integer paise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from shared.banks.account_numbers import masked_within
from shared.banks.lone_surrogates import read_json
from shared.errors import Malformed


@dataclass(frozen=True, slots=True)
class PaymentNotice:
    """A person approved (`success`) a payment of `amount` paise at the bank, or it was not made (`failure`)."""

    bank: str
    event: Literal["success", "failure"]
    token: str
    user_id: str
    amount: int
    bank_reference: str | None
    reason: str | None = None
    """Why it was not made, if the bank says so."""


@dataclass(frozen=True, slots=True)
class PayoutNotice:
    """What became of a payout of `amount` paise that we sent under `reference`."""

    bank: str
    event: Literal["success", "failure", "reversed"]
    reference: str
    utr: str | None
    amount: int
    reason: str | None


Notice = PaymentNotice | PayoutNotice

MAX_REASON_LENGTH = 200
"""Characters of a bank's reason that are kept."""


def _readable_reason(value: Any) -> str | None:
    is_readable = isinstance(value, str) and value.isprintable() and value
    return masked_within(value)[:MAX_REASON_LENGTH] if is_readable else None


ReasonIfReadable = Annotated[str | None, BeforeValidator(_readable_reason)]
"""Why a payment was not made. What cannot be read counts as absent: a notice of money is not rejected for it."""

NoticePaise = Annotated[int, Field(ge=1, lt=10**14)]
"""More than one of our transfers may carry, so that a wrong amount is found to be wrong, not unreadable."""


@dataclass(eq=False)
class NoticeUnreadable(Malformed):
    """The notice is not in its bank's format. `reason` names the field and the rule, never the value."""

    reason: str

    code = "notice_unreadable"
    title = "The notice cannot be read"

    @property
    def detail(self) -> str:
        """Which field, and why."""
        return f"The notice cannot be read: {self.reason}"


class Adapter(Protocol):
    """How one bank writes its notices. The modules `hdfc` and `axis` are adapters."""

    def encode(self, notice: Notice) -> bytes:
        """The body that the bank sends for `notice`."""

    def decode(self, bank: str, body: bytes) -> Notice:
        """Read a body that `bank` sent. Raises NoticeUnreadable."""


_Message = TypeVar("_Message")


def read_message(reader: TypeAdapter[_Message], body: bytes) -> _Message:
    """Read a JSON body with `reader`. Raises NoticeUnreadable, which names the first field that is wrong."""
    try:
        return read_json(reader.validate_json, body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        # pydantic repeats an unknown tag in its message; we never repeat what was sent.
        is_unknown_event = first["type"] == "union_tag_invalid"
        raise NoticeUnreadable(f"{place}: {'unknown event' if is_unknown_event else first['msg']}") from None


def write_message(message: Mapping[str, object]) -> bytes:
    """The message as compact JSON in UTF-8."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
