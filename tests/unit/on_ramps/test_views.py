from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from shared.http.on_ramps import on_ramp_body
from shared.ids import new_id
from shared.models import OnRamp
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps.errors import UnknownBank
from shared.on_ramps.views import view_of

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 600, UTC)


def an_on_ramp() -> OnRamp:
    return OnRamp(
        id=new_id(),
        owner_id=new_id(),
        account_id=new_id(),
        bank="hdfc",
        amount=20000,
        currency="INR",
        status=OnRampStatus.PENDING,
        idempotency_key="k",
        token="s3cret",
        redirect_url="https://bank.example/t",
        created_at=MOMENT,
    )


def test_a_pending_one_is_shown_with_where_to_go() -> None:
    on_ramp = an_on_ramp()
    assert on_ramp_body(view_of(on_ramp)) == {
        "id": str(on_ramp.id),
        "status": "pending",
        "bank": "hdfc",
        "amount": 20000,
        "currency": "INR",
        "redirect_url": "https://bank.example/t",
        "failure_reason": None,
        "transfer_id": None,
        "created_at": "2026-01-02T03:04:05.000600Z",
        "settled_at": None,
        "expires_at": None,
        "cancel_requested_at": None,
        "trace_id": None,
    }


def test_a_settled_one_is_shown_with_its_transfer_and_times_in_utc() -> None:
    on_ramp = an_on_ramp()
    on_ramp.status, on_ramp.transfer_id = OnRampStatus.SUCCESS, new_id()
    on_ramp.settled_at = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    shown = on_ramp_body(view_of(on_ramp))
    assert shown["transfer_id"] == str(on_ramp.transfer_id)
    assert shown["settled_at"] == "2026-01-02T03:04:05.000600Z"


def test_one_whose_trace_is_known_names_it() -> None:
    on_ramp = an_on_ramp()
    on_ramp.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    assert on_ramp_body(view_of(on_ramp))["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_an_unknown_bank_is_a_complaint_about_one_field() -> None:
    assert [error.field for error in UnknownBank("sbi").errors] == ["bank"]
