"""Where banks call: one route, a bank each."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from services.bank_webhook import errors
from services.bank_webhook.inbox import take_in
from services.bank_webhook.rejections import DELIVERIES
from services.bank_webhook.state import WebhookResources
from shared.banks.notices import NoticeUnreadable
from shared.banks.signatures import SignatureInvalid
from shared.errors import BatuaError
from shared.http.errors import BodyTooLarge, BodyTooSlow, JsonRequired
from shared.http.problems import problem_responses
from shared.models.webhook_delivery import Verdict

router = APIRouter(tags=["webhooks"])

_TURNED_AWAY: dict[Verdict, type[BatuaError]] = {
    Verdict.UNKNOWN_TOKEN: errors.UnknownToken,
    Verdict.UNKNOWN_REFERENCE: errors.UnknownReference,
    Verdict.AMOUNT_MISMATCH: errors.AmountMismatch,
    Verdict.USER_MISMATCH: errors.UserMismatch,
}
_REFUSALS = (
    errors.BankNotFound,
    errors.SourceNotAllowed,
    BodyTooLarge,
    JsonRequired,
    BodyTooSlow,
    errors.BodyIncomplete,
    SignatureInvalid,
    NoticeUnreadable,
    *_TURNED_AWAY.values(),
    errors.NotCommitted,
)


class Accepted(BaseModel):
    """What became of the notice. `noted`: kept, but it settled nothing: it does not fit, and somebody will
    look at it, or it is about a payout that is being sent right now, and what becomes of that decides.
    """

    verdict: Literal["settled", "duplicate", "noted"]


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": description}


_DOCUMENTED: dict[str, Any] = {
    "parameters": [
        _header("webhook-id", "The bank's name for the notice, the same for every copy"),
        _header("webhook-timestamp", "Seconds since 1970, within the tolerance of now"),
        _header("webhook-signature", "Standard Webhooks: `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`"),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "examples": {
                    "hdfc": {
                        "value": {
                            "event": "payment.success",
                            "token": "tok_1",
                            "user_id": "0197",
                            "amount": 20000,
                            "bank_reference": "HDFC1",
                        }
                    },
                    "axis": {
                        "value": {
                            "type": "TXN_CREDIT_OK",
                            "data": {"txn_token": "tok_1", "customer_ref": "0197", "amount_rupees": "200.00"},
                        }
                    },
                },
            }
        },
    },
}


@router.post("/webhooks/{bank}", responses=problem_responses(*_REFUSALS), openapi_extra=_DOCUMENTED)
async def receive_notice(bank: str, request: Request) -> Accepted:
    """Take in one notice. Answered only after it is committed, so what the bank hears is what we have."""
    resources: WebhookResources = request.app.state.resources
    delivery = await resources.gate.admit(bank, request)
    within_seconds = resources.settings.webhook_commit_seconds
    verdict = await take_in(resources.sessionmaker, delivery, within_seconds=within_seconds)
    DELIVERIES.labels(delivery.notice.bank, verdict).inc()
    if verdict in _TURNED_AWAY:
        raise _TURNED_AWAY[verdict]()
    return Accepted.model_validate({"verdict": Verdict.NOTED if verdict is Verdict.CONTRADICTION else verdict})
