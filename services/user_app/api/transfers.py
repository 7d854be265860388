"""Sending money: to friends, to shops, between one's own accounts."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, status
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field

from shared.auth.tokens import Identity
from shared.http.dependencies import Caller, CurrentResources, IdempotencyKey, PinCheck, ReadSession, respond
from shared.http.fields import Body, Paise, Pin, Recipient
from shared.http.keyed_requests import KEY_ERRORS, PIN_ERRORS, REPLAY_HEADERS, claim_of
from shared.http.problems import problem_responses
from shared.http.query_parameters import OptionalText
from shared.http.receipts import TransferOut
from shared.idempotency.claims import Answer
from shared.ledger.errors import (
    AccountClosed,
    AccountNotFound,
    CurrencyMismatch,
    InsufficientFunds,
    LedgerBusy,
    LimitExceeded,
    SameAccount,
)
from shared.runtime.resources import Resources
from shared.transfers import commands, views
from shared.transfers.errors import RecipientNotFound, TransferNotFound

router = APIRouter(prefix="/transfers", tags=["transfers"])

MOVEMENT_ERRORS = (
    InsufficientFunds,
    LimitExceeded,
    SameAccount,
    AccountClosed,
    CurrencyMismatch,
    RecipientNotFound,
    LedgerBusy,
)


class TransferIn(Body):
    """What to send to whom; without `pin` an `X-Pin-Token` is needed."""

    to: Recipient
    amount: Paise
    note: OptionalText = None
    pin: Pin | None = None
    from_account: UUID | None = Field(default=None, description="Pay from this pot instead of the wallet")

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"to": "bob@batua", "amount": 50000, "note": "rent", "pin": "1234"}]}
    )


async def send_once(resources: Resources, caller: Identity, key: str, body: TransferIn) -> Answer:
    """Move the money, or repeat the answer that this key got before; the PIN was checked. Raises MOVEMENT_ERRORS,
    AccountNotFound, IdempotencyKeyReused, RequestInFlight.
    """
    claim = claim_of(caller.owner_id, key, route="/api/v1/transfers", body=body)

    async def work() -> Answer:
        async with resources.read_sessionmaker() as session:
            instruction = await commands.plan_transfer(
                session,
                owner_id=caller.owner_id,
                to=body.to,
                amount=body.amount,
                note=body.note,
                from_account=body.from_account,
                claim=claim,
                limits=resources.settings.limits,
            )
        return await commands.carry_out(resources.group_commit, instruction)

    return await resources.guard.run(claim, work)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=TransferOut,
    responses={
        201: REPLAY_HEADERS,
        **problem_responses(*MOVEMENT_ERRORS, AccountNotFound, *KEY_ERRORS, *PIN_ERRORS),
    },
)
async def send_money(
    caller: Caller, key: IdempotencyKey, check_pin: PinCheck, resources: CurrentResources, body: TransferIn
) -> JSONResponse:
    """Send money to a friend (`p2p`) or a shop (`payment`), or move it between one's own accounts."""
    await check_pin(body.pin)
    return respond(await send_once(resources, caller, key, body))


@router.get("/{transfer_id}", responses=problem_responses(TransferNotFound))
async def get_transfer(caller: Caller, session: ReadSession, transfer_id: UUID) -> TransferOut:
    """A transfer, for either party."""
    return TransferOut.model_validate((await views.get(session, caller.owner_id, transfer_id)).body())
