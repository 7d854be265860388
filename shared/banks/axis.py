"""Axis's notices: `type` and a nested `data`, amounts as text in rupees, names of its own for every field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from shared.banks.messages import Identifier, Received, ShortReason
from shared.banks.notices import (
    Notice,
    NoticeUnreadable,
    PaymentNotice,
    PayoutNotice,
    ReasonIfReadable,
    read_message,
    write_message,
)
from shared.money import Money

_Rupees = Annotated[str, Field(pattern=r"^[0-9]{1,12}\.[0-9]{2}$")]


class _PaymentData(Received):
    txn_token: Identifier
    customer_ref: Identifier
    amount_rupees: _Rupees
    bank_ref: Identifier | None = None
    remark: ReasonIfReadable = None


class _PayoutData(Received):
    client_ref: Identifier
    utr_no: Identifier | None = None
    amount_rupees: _Rupees
    remark: ShortReason | None = None


class _Payment(Received):
    type: Literal["TXN_CREDIT_OK", "TXN_DECLINED"]
    data: _PaymentData


class _Payout(Received):
    type: Literal["TRF_DONE", "TRF_REJECTED", "TRF_RETURNED"]
    data: _PayoutData


_reader: TypeAdapter[_Payment | _Payout] = TypeAdapter(Annotated[_Payment | _Payout, Field(discriminator="type")])

_PAYMENT_TYPES = {"success": "TXN_CREDIT_OK", "failure": "TXN_DECLINED"}
_PAYOUT_TYPES = {"success": "TRF_DONE", "failure": "TRF_REJECTED", "reversed": "TRF_RETURNED"}
_EVENTS: dict[str, Any] = {name: event for types in (_PAYMENT_TYPES, _PAYOUT_TYPES) for event, name in types.items()}


def encode(notice: Notice) -> bytes:
    """The body that Axis sends for `notice`."""
    rupees = Money(notice.amount).to_rupees()
    data: dict[str, str | None]
    if isinstance(notice, PaymentNotice):
        kind = _PAYMENT_TYPES[notice.event]
        data = {"txn_token": notice.token, "customer_ref": notice.user_id, "bank_ref": notice.bank_reference}
        data |= {} if notice.reason is None else {"remark": notice.reason}
    else:
        kind = _PAYOUT_TYPES[notice.event]
        data = {"client_ref": notice.reference, "utr_no": notice.utr, "remark": notice.reason}
    return write_message({"type": kind, "data": {**data, "amount_rupees": rupees}})


def decode(bank: str, body: bytes) -> Notice:
    """Read a body that Axis sent. Raises NoticeUnreadable."""
    message = read_message(_reader, body)
    event = _EVENTS[message.type]
    amount = _paise_of(message.data.amount_rupees)
    if isinstance(message, _Payment):
        paid = message.data
        return PaymentNotice(bank, event, paid.txn_token, paid.customer_ref, amount, paid.bank_ref, paid.remark)
    sent = message.data
    return PayoutNotice(bank, event, sent.client_ref, sent.utr_no, amount, sent.remark)


def _paise_of(rupees: str) -> int:
    paise = Money.from_rupees(rupees).paise
    if paise < 1:
        raise NoticeUnreadable("data.amount_rupees: must be more than zero")
    return paise
