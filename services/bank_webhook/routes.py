"""The one route that banks call."""

from __future__ import annotations

import json
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from services.bank_webhook import errors
from services.bank_webhook.metrics import DELIVERIES
from services.bank_webhook.resources import WebhookResources
from shared.banks.notices import NoticeUnreadable, PaymentNotice
from shared.banks.signatures import SignatureInvalid
from shared.banks.table import BANKS
from shared.errors import BatuaError
from shared.http.errors import BodyTooLarge, BodyTooSlow, JsonRequired
from shared.http.problems import problem_responses
from shared.models.webhook_delivery import Verdict

router = APIRouter(tags=["webhooks"])

_NOT_ACCEPTED: dict[Verdict, type[BatuaError]] = {
    Verdict.UNKNOWN_TOKEN: errors.UnknownToken,
    Verdict.UNKNOWN_REFERENCE: errors.UnknownReference,
    Verdict.AMOUNT_MISMATCH: errors.AmountMismatch,
    Verdict.USER_MISMATCH: errors.UserMismatch,
}
_ERRORS = (
    errors.BankNotFound,
    errors.SourceNotAllowed,
    BodyTooLarge,
    JsonRequired,
    BodyTooSlow,
    errors.BodyIncomplete,
    SignatureInvalid,
    NoticeUnreadable,
    *_NOT_ACCEPTED.values(),
    errors.NotCommitted,
)


DESCRIPTION = """\
Banks send notices about payments and payouts here, from the networks that are allowed for them.

**Signature.** Each notice is signed as Standard Webhooks say: `webhook-id`, `webhook-timestamp` and `webhook-signature`
over `id.timestamp.body`, within five minutes of now. Every copy of a notice has the same `webhook-id`.

**Answers.** 200 `settled`, `duplicate` or `noted`: the bank need not send the notice again. 404 and 422: nothing was
credited; the bank returns the money to the person. 503: send the same notice again later. Errors are
`application/problem+json` (RFC 9457).
"""


class Accepted(BaseModel):
    """What became of the notice.

    `noted`: kept, and nothing changed. Either it contradicts an earlier notice and an operator looks at it, or it is
    about a payout that is being sent now, and the outcome of that send decides.
    """

    verdict: Literal["settled", "duplicate", "noted"]


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": description}


def _examples() -> dict[str, Any]:
    """The same notice as each bank writes it."""
    notices = {
        bank: PaymentNotice(bank.code, "success", "tok_1", "0197", 20000, f"{bank.ifsc_prefix}1")
        for bank in BANKS.values()
    }
    return {bank.code: {"value": json.loads(bank.encode(notice))} for bank, notice in notices.items()}


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
                "examples": _examples(),
            }
        },
    },
}


@router.post("/webhooks/{bank}", responses=problem_responses(*_ERRORS), openapi_extra=_DOCUMENTED)
async def receive_notice(bank: str, request: Request) -> Accepted:
    """Take in one notice. The bank gets an answer only after the commit."""
    resources: WebhookResources = request.app.state.resources
    delivery = await resources.gate.admit(bank, request)
    verdict = await resources.inbox.take_in(delivery)
    DELIVERIES.labels(delivery.notice.bank, verdict).inc()
    if verdict in _NOT_ACCEPTED:
        raise _NOT_ACCEPTED[verdict]()
    return Accepted.model_validate({"verdict": Verdict.NOTED if verdict is Verdict.CONTRADICTION else verdict})
