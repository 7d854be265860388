"""What only the platform's own user may do."""

from __future__ import annotations

from fastapi import APIRouter, status
from fastapi.responses import JSONResponse
from pydantic import ConfigDict

from shared.http.dependencies import Caller, CurrentResources, IdempotencyKey, respond
from shared.http.fields import Body, Handle, Paise
from shared.http.keyed_requests import KEY_ERRORS, REPLAY_HEADERS, claim_of
from shared.http.problems import problem_responses
from shared.http.query_parameters import OptionalText
from shared.http.receipts import TransferOut
from shared.idempotency.claims import Answer
from shared.ledger.errors import AccountClosed, LedgerBusy
from shared.transfers import commands
from shared.transfers.errors import RecipientNotFound, SystemUserOnly

router = APIRouter(prefix="/system", tags=["system"])


class InitialFundsIn(Body):
    """Money for a wallet, out of the platform's `funding` account."""

    to: Handle
    amount: Paise
    note: OptionalText = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "alice@batua", "amount": 100000}]})


@router.post(
    "/initial-funds",
    status_code=status.HTTP_201_CREATED,
    response_model=TransferOut,
    responses={
        201: REPLAY_HEADERS,
        **problem_responses(SystemUserOnly, RecipientNotFound, AccountClosed, LedgerBusy, *KEY_ERRORS),
    },
)
async def give_initial_funds(
    caller: Caller, key: IdempotencyKey, resources: CurrentResources, body: InitialFundsIn
) -> JSONResponse:
    """Fund a wallet. `balance_after` is null: no account of the caller's took part."""
    commands.require_system_user(is_system=caller.is_system)
    claim = claim_of(caller.owner_id, key, route="/api/v1/system/initial-funds", body=body)

    async def work() -> Answer:
        async with resources.read_sessionmaker() as session:
            instruction = await commands.plan_initial_funds(
                session, caller_id=caller.owner_id, to=body.to, amount=body.amount, note=body.note, claim=claim
            )
        return await commands.carry_out(resources.group_commit, instruction)

    return respond(await resources.guard.run(claim, work))
