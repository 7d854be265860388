"""HDFC's notices: one flat object, amounts in paise, events such as `payment.success`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from shared.banks.messages import Identifier, Received, ShortReason
from shared.banks.notices import (
    Notice,
    NoticePaise,
    PaymentNotice,
    PayoutNotice,
    ReasonIfReadable,
    read_message,
    write_message,
)


class _Payment(Received):
    event: Literal["payment.success", "payment.failure"]
    token: Identifier
    user_id: Identifier
    amount: NoticePaise
    bank_reference: Identifier | None = None
    reason: ReasonIfReadable = None


class _Payout(Received):
    event: Literal["payout.success", "payout.failure", "payout.reversed"]
    reference: Identifier
    utr: Identifier | None = None
    amount: NoticePaise
    reason: ShortReason | None = None


_reader: TypeAdapter[_Payment | _Payout] = TypeAdapter(Annotated[_Payment | _Payout, Field(discriminator="event")])


def encode(notice: Notice) -> bytes:
    """The body that HDFC sends for `notice`."""
    flow = "payment" if isinstance(notice, PaymentNotice) else "payout"
    facts = asdict(notice)
    del facts["bank"]
    if flow == "payment" and notice.reason is None:
        del facts["reason"]
    return write_message({**facts, "event": f"{flow}.{notice.event}"})


def decode(bank: str, body: bytes) -> Notice:
    """Read a body that HDFC sent. Raises NoticeUnreadable."""
    message = read_message(_reader, body)
    event: Any = message.event.partition(".")[2]
    kind = PaymentNotice if isinstance(message, _Payment) else PayoutNotice
    return kind(bank=bank, **{**message.model_dump(), "event": event})
