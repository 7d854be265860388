"""JSON routes for the platform's own user."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import ConfigDict

from shared.http.dependencies import Caller, CurrentResources, IdempotencyKey, PinCheck, respond
from shared.http.fields import Body, Handle, Paise, Pin
from shared.http.keyed_requests import GIVE_INITIAL_FUNDS, KEY_ERRORS, PIN_ERRORS, REPLAY_HEADERS
from shared.http.problems import problem_responses
from shared.http.query_parameters import OptionalText
from shared.http.receipts import TransferOut
from shared.ledger.errors import AccountClosed, LedgerBusy, LimitExceeded
from shared.transfers import commands
from shared.transfers.errors import RecipientNotFound, SystemUserOnly

router = APIRouter(prefix="/system", tags=["system"])


class InitialFundsIn(Body):
    """Money for a wallet, from the platform's `funding` account; without `pin` an `X-Pin-Token` is needed."""

    to: Handle
    amount: Paise
    note: OptionalText = None
    pin: Pin | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "alice@batua", "amount": 100000, "pin": "4812"}]})


@router.post(
    "/initial-funds",
    status_code=GIVE_INITIAL_FUNDS.success_status,
    response_model=TransferOut,
    responses={
        GIVE_INITIAL_FUNDS.success_status: REPLAY_HEADERS,
        **problem_responses(
            SystemUserOnly, RecipientNotFound, LimitExceeded, AccountClosed, LedgerBusy, *KEY_ERRORS, *PIN_ERRORS
        ),
    },
)
async def give_initial_funds(
    caller: Caller, key: IdempotencyKey, check_pin: PinCheck, resources: CurrentResources, body: InitialFundsIn
) -> JSONResponse:
    """Fund a wallet. `balance_after` is null, because no account of the caller takes part."""
    answer = await commands.give_initial_funds(
        GIVE_INITIAL_FUNDS.request(caller.owner_id, key),
        is_system_user=caller.is_system,
        check_pin=lambda: check_pin(body.pin),
        to=body.to,
        amount=body.amount,
        note=body.note,
        read_sessionmaker=resources.read_sessionmaker,
        group_commit=resources.group_commit,
        marks=resources.marks,
        limits=resources.settings.limits,
    )
    return respond(answer, "transfer_id")
