"""What travels between Batua and a bank: netbanking, payouts, statements, and the banks' own notices.

Used by both sides, so that they cannot drift apart. What we send is checked strictly and refuses unknown
fields; what comes from a bank is checked as strictly but may carry fields we do not know yet.
Amounts are integer paise; times are RFC 3339 in UTC. Read answers with `Model.model_validate_json(body)`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.money import MAX_MOVEMENT_PAISE, Money

MAX_LIST_ITEMS = 100_000
"""The most items a statement or a call log carries at once."""

Identifier = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
"""A reference, token or UTR: visible ASCII, no blanks."""

ShortText = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
PersonName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
MovementPaise = Annotated[int, Field(ge=1, le=MAX_MOVEMENT_PAISE)]
Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Milliseconds = Annotated[int, Field(ge=0, le=60_000)]


class Sent(BaseModel):
    """A message of ours to a bank."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Received(BaseModel):
    """A message of a bank's to us."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class SessionRequest(Sent):
    """Ask for a netbanking session in which one person may pay us `amount` paise."""

    reference: Identifier
    user_id: Identifier
    amount: MovementPaise
    return_url: Annotated[str, Field(max_length=2048, pattern=r"^https?://[\x21-\x7e]+$")]


class SessionOpened(Received):
    """The session's token, and the page of the bank to send the person to."""

    token: Identifier
    url: Annotated[str, Field(max_length=2048)]


class SessionState(Received):
    """How a session stands. `declined` also means run out, or given back because nobody took the money."""

    token: Identifier
    reference: Identifier
    user_id: Identifier
    amount: int
    status: Literal["pending", "approved", "declined"]
    bank_reference: Identifier | None = None
    reason: str | None = None
    expires_at: AwareDatetime | None = None


class PayoutRequest(Sent):
    """Ask the bank to pay `amount` paise out of our nodal account.

    `user_ref` says whose payout it is, for the bank's call log; without it the account number stands in.
    """

    reference: Identifier
    account_number: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{4,34}$")]
    ifsc: Annotated[str, Field(pattern=r"^[A-Za-z]{4}0[0-9A-Za-z]{6}$")]
    account_holder: PersonName
    amount: MovementPaise
    user_ref: Identifier | None = None


class PayoutAnswer(Received):
    """What became of a payout, answered at once or on enquiry. FAILED and REVERSED are final: not paid."""

    status: Literal["SUCCESS", "PROCESSING", "FAILED", "REVERSED"]
    amount: int | None = None
    reference: str | None = None
    utr: Identifier | None = None
    code: str | None = None
    message: str | None = None


class Refusal(Received):
    """The body of every 4xx and 5xx of a bank."""

    code: Annotated[str, Field(max_length=100)]
    message: Annotated[str, Field(max_length=1000)] = ""


BANK_DOWN = "BANK_DOWN"
"""The refusal code of a bank that is down: it says so before doing any work."""
TRANSFER_NOT_FOUND = "TRANSFER_NOT_FOUND"
"""With a 404 to an enquiry: the bank never accepted a payout under this reference."""
SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
"""With a 404: the bank opened no such netbanking session."""


class StatementItem(Received):
    """One line of our nodal account's statement. CREDIT is money that came in for us."""

    at: AwareDatetime
    direction: Literal["CREDIT", "DEBIT"]
    amount: int
    reference: str
    utr: str
    balance_after: int


class Statement(Received):
    """The nodal account's lines of a range, oldest first, whole."""

    items: Annotated[list[StatementItem], Field(max_length=MAX_LIST_ITEMS)]
    next_cursor: str | None = None


class CallLogItem(Received):
    """One payout call the bank received; `ended_at` is null while it is being answered."""

    reference: str
    user_ref: str
    amount: int
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    outcome: str


class CallLog(Received):
    """The payout calls of a range, oldest first, whole."""

    items: Annotated[list[CallLogItem], Field(max_length=MAX_LIST_ITEMS)]
    next_cursor: str | None = None


class Faults(Sent):
    """How the simulated bank misbehaves. A whole set: what is left out is at its default, off."""

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    latency_ms: Milliseconds = 0
    latency_tail_ms: Milliseconds = 0
    down: bool = False
    error_rate: Rate = 0
    timeout_after_rate: Rate = 0
    refuse_rate: Rate = 0
    async_rate: Rate = 0
    async_delay_ms: Milliseconds = 0
    reversal_rate: Rate = 0
    idempotency: bool = True
    webhook_duplicate_rate: Rate = 0
    webhook_delay_ms: Milliseconds = 0
    webhook_reorder_rate: Rate = 0
    webhook_drop_rate: Rate = 0
    webhook_wrong_amount_rate: Rate = 0
    webhook_bad_signature_rate: Rate = 0
    hold_at: Literal["before_work", "after_work"] | None = None


def to_wire_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, the same width always, so that text sorts as time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class WireError(ValueError):
    """A notice that cannot be read; the message says which field and why, never what was in it."""


@dataclass(frozen=True, slots=True)
class PaymentNotice:
    """A person approved (`success`) or declined (`failure`) a payment of `amount` paise at the bank."""

    bank: str
    event: Literal["success", "failure"]
    token: str
    user_id: str
    amount: int
    bank_reference: str | None


@dataclass(frozen=True, slots=True)
class PayoutNotice:
    """What became of a payout of `amount` paise that we had sent under `reference`."""

    bank: str
    event: Literal["success", "failure", "reversed"]
    reference: str
    utr: str | None
    amount: int
    reason: str | None


Notice = PaymentNotice | PayoutNotice

# More than a movement may carry, so that a wrong amount is found to be wrong, not unreadable.
NoticePaise = Annotated[int, Field(ge=1, lt=10**14)]


class _HdfcPayment(Received):
    event: Literal["payment.success", "payment.failure"]
    token: Identifier
    user_id: Identifier
    amount: NoticePaise
    bank_reference: Identifier | None = None


class _HdfcPayout(Received):
    event: Literal["payout.success", "payout.failure", "payout.reversed"]
    reference: Identifier
    utr: Identifier | None = None
    amount: NoticePaise
    reason: ShortText | None = None


_HdfcMessage = Annotated[_HdfcPayment | _HdfcPayout, Field(discriminator="event")]


class HdfcAdapter:
    """HDFC: one flat object, amounts in paise, events such as `payment.success`."""

    bank = "hdfc"
    _reader: TypeAdapter[_HdfcPayment | _HdfcPayout] = TypeAdapter(_HdfcMessage)

    def encode(self, notice: Notice) -> bytes:
        """The body HDFC sends for `notice`."""
        flow = "payment" if isinstance(notice, PaymentNotice) else "payout"
        return _to_json({**_facts(notice), "event": f"{flow}.{notice.event}"})

    def decode(self, body: bytes) -> Notice:
        """Read a body HDFC sent; `WireError` when it is unfit in any way."""
        message = _read(self._reader, body)
        event: Any = message.event.partition(".")[2]
        kind = PaymentNotice if isinstance(message, _HdfcPayment) else PayoutNotice
        return kind(bank=self.bank, **{**message.model_dump(), "event": event})


_AxisRupees = Annotated[str, Field(pattern=r"^[0-9]{1,12}\.[0-9]{2}$")]


class _AxisPaymentData(Received):
    txn_token: Identifier
    customer_ref: Identifier
    amount_rupees: _AxisRupees
    bank_ref: Identifier | None = None


class _AxisPayoutData(Received):
    client_ref: Identifier
    utr_no: Identifier | None = None
    amount_rupees: _AxisRupees
    remark: ShortText | None = None


class _AxisPayment(Received):
    type: Literal["TXN_CREDIT_OK", "TXN_DECLINED"]
    data: _AxisPaymentData


class _AxisPayout(Received):
    type: Literal["TRF_DONE", "TRF_REJECTED", "TRF_RETURNED"]
    data: _AxisPayoutData


_AxisMessage = Annotated[_AxisPayment | _AxisPayout, Field(discriminator="type")]
_AXIS_PAYMENT_TYPES = {"success": "TXN_CREDIT_OK", "failure": "TXN_DECLINED"}
_AXIS_PAYOUT_TYPES = {"success": "TRF_DONE", "failure": "TRF_REJECTED", "reversed": "TRF_RETURNED"}
_AXIS_EVENTS: dict[str, Any] = {
    name: event for types in (_AXIS_PAYMENT_TYPES, _AXIS_PAYOUT_TYPES) for event, name in types.items()
}


class AxisAdapter:
    """Axis: `type` and a nested `data`, amounts as text in rupees, its own names for everything."""

    bank = "axis"
    _reader: TypeAdapter[_AxisPayment | _AxisPayout] = TypeAdapter(_AxisMessage)

    def encode(self, notice: Notice) -> bytes:
        """The body Axis sends for `notice`."""
        rupees = Money(notice.amount).to_rupees()
        if isinstance(notice, PaymentNotice):
            kind = _AXIS_PAYMENT_TYPES[notice.event]
            data = {"txn_token": notice.token, "customer_ref": notice.user_id, "amount_rupees": rupees}
            return _to_json({"type": kind, "data": {**data, "bank_ref": notice.bank_reference}})
        kind = _AXIS_PAYOUT_TYPES[notice.event]
        paid = {"client_ref": notice.reference, "utr_no": notice.utr, "amount_rupees": rupees}
        return _to_json({"type": kind, "data": {**paid, "remark": notice.reason}})

    def decode(self, body: bytes) -> Notice:
        """Read a body Axis sent; `WireError` when it is unfit in any way."""
        message = _read(self._reader, body)
        event = _AXIS_EVENTS[message.type]
        amount = _paise_of(message.data.amount_rupees)
        if isinstance(message, _AxisPayment):
            paid = message.data
            return PaymentNotice(self.bank, event, paid.txn_token, paid.customer_ref, amount, paid.bank_ref)
        sent = message.data
        return PayoutNotice(self.bank, event, sent.client_ref, sent.utr_no, amount, sent.remark)


Adapter = HdfcAdapter | AxisAdapter
ADAPTERS: dict[str, Adapter] = {adapter.bank: adapter for adapter in (HdfcAdapter(), AxisAdapter())}

_Message = TypeVar("_Message")


def _read(reader: TypeAdapter[_Message], body: bytes) -> _Message:
    try:
        return reader.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        # pydantic repeats an unknown tag in its message; we never repeat what was sent.
        unknown = first["type"] == "union_tag_invalid"
        raise WireError(f"{place}: {'unknown event' if unknown else first['msg']}") from None


def _paise_of(rupees: str) -> int:
    paise = Money.from_rupees(rupees).paise
    if paise < 1:
        raise WireError("data.amount_rupees: must be more than zero")
    return paise


def _facts(notice: Notice) -> dict[str, object]:
    return {key: value for key, value in asdict(notice).items() if key not in ("bank", "event")}


def _to_json(message: dict[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
