"""The JSON route that sends many transfers in one request."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, status
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field

from shared.auth.errors import EmailUnverified
from shared.http.dependencies import Caller, CurrentResources, IdempotencyKey, PinCheck, respond
from shared.http.fields import Body, Flag, Paise, Pin, Recipient
from shared.http.keyed_requests import KEY_ERRORS, PIN_ERRORS, REPLAY_HEADERS, SEND_MONEY_TO_MANY
from shared.http.problems import problem_responses
from shared.http.query_parameters import OptionalText
from shared.http.receipts import BulkOut
from shared.quotas.errors import TooManyBulkRequests
from shared.transfers import bulk
from shared.transfers.bulk import MAX_ITEMS

router = APIRouter(prefix="/transfers", tags=["transfers"])

BULK_PATH = "/transfers/bulk"
BULK_BODY_LIMIT_BYTES = 3 * 1024 * 1024
"""Room for 1000 items with notes of 200 characters, each written in JSON as two escapes."""


@router.get("/bulk", include_in_schema=False)
async def refuse_to_read() -> None:
    """Answer 405. Without this route, `bulk` would be read as a transfer's id."""
    raise HTTPException(status.HTTP_405_METHOD_NOT_ALLOWED, headers={"Allow": "POST"})


class BulkItem(Body):
    """One of the transfers."""

    to: Recipient
    amount: Paise
    note: OptionalText = None


class BulkIn(Body):
    """Up to 1000 transfers from the wallet, sent in order; without `pin` an `X-Pin-Token` is needed."""

    items: Annotated[list[BulkItem], Field(min_length=1, max_length=MAX_ITEMS)]
    all_or_nothing: Flag = False
    pin: Pin | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {"to": "bob@batua", "amount": 50000, "note": "rent"},
                        {"to": "nobody@batua", "amount": 1},
                    ],
                    "all_or_nothing": False,
                    "pin": "4812",
                }
            ]
        }
    )


@router.post(
    "/bulk",
    response_model=BulkOut,
    status_code=SEND_MONEY_TO_MANY.success_status,
    responses={
        SEND_MONEY_TO_MANY.success_status: REPLAY_HEADERS,
        **problem_responses(EmailUnverified, TooManyBulkRequests, *KEY_ERRORS, *PIN_ERRORS),
    },
)
async def send_money_to_many(
    caller: Caller, key: IdempotencyKey, check_pin: PinCheck, resources: CurrentResources, body: BulkIn
) -> JSONResponse:
    """Send up to a thousand transfers. A rejected item does not stop the others, unless `all_or_nothing` is true."""
    await check_pin(body.pin)
    answer = await bulk.send_many(
        SEND_MONEY_TO_MANY.request(caller.owner_id, key),
        items=[bulk.BulkItem(item.to, item.amount, item.note) for item in body.items],
        all_or_nothing=body.all_or_nothing,
        read_sessionmaker=resources.read_sessionmaker,
        group_commit=resources.group_commit,
        marks=resources.marks,
        limits=resources.settings.limits,
        quotas=resources.quotas,
        requires_verified_email=resources.settings.requires_verified_email,
    )
    return respond(answer, "bulk_id")
