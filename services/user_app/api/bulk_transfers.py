"""Sending money to many at once."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, status
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from shared.http.dependencies import Caller, CurrentResources, IdempotencyKey, PinCheck, respond
from shared.http.fields import Body, Flag, Paise, Pin, Recipient
from shared.http.keyed_requests import KEY_ERRORS, PIN_ERRORS, REPLAY_HEADERS, claim_of
from shared.http.problems import SCHEMA_REF, problem_body, problem_responses
from shared.http.query_parameters import OptionalText
from shared.http.receipts import TransferOut
from shared.idempotency.claims import Answer
from shared.transfers.bulk import MAX_ITEMS, Item, send_all

router = APIRouter(prefix="/transfers", tags=["transfers"])

BULK_PATH = "/transfers/bulk"
BULK_BODY_LIMIT_BYTES = 3 * 1024 * 1024
"""A thousand items whose notes have 200 characters, each written as two escapes."""

_PROBLEM: dict[str, Any] = {
    "type": "urn:batua:problem:recipient_not_found",
    "title": "No such recipient",
    "status": 404,
    "detail": "Nobody has this wallet id. Check the spelling: it looks like name@batua.",
    "code": "recipient_not_found",
}


@router.get("/bulk", include_in_schema=False)
async def refuse_to_read() -> None:
    """Without this, `bulk` would be taken for a transfer's id."""
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
                    "pin": "1234",
                }
            ]
        }
    )


class BulkResult(BaseModel):
    """What became of one item: `status` 201 with its `transfer`, or any other with the `problem` it met."""

    index: int
    status: int
    transfer: TransferOut | None = None
    problem: Annotated[dict[str, Any], Field(json_schema_extra={"$ref": SCHEMA_REF})] | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"index": 1, "status": 404, "problem": _PROBLEM}]})


class BulkOut(BaseModel):
    """One result for each item, in order."""

    results: list[BulkResult]


@router.post(
    "/bulk",
    response_model=BulkOut,
    responses={200: REPLAY_HEADERS, **problem_responses(*KEY_ERRORS, *PIN_ERRORS)},
)
async def send_money_to_many(
    caller: Caller, key: IdempotencyKey, check_pin: PinCheck, resources: CurrentResources, body: BulkIn
) -> JSONResponse:
    """Send up to a thousand transfers. A refused one stops no other, unless it is to be all or nothing."""
    await check_pin(body.pin)
    claim = claim_of(caller.owner_id, key, route="/api/v1/transfers/bulk", body=body)

    async def work() -> Answer:
        # Committed before the guard remembers the answer: what it remembers must be so.
        async with resources.sessionmaker.begin() as session:
            return await send_all(
                session,
                owner_id=caller.owner_id,
                items=[Item(item.to, item.amount, item.note) for item in body.items],
                all_or_nothing=body.all_or_nothing,
                claim=claim,
                limits=resources.settings.limits,
                describe=problem_body,
            )

    return respond(await resources.guard.run(claim, work))
