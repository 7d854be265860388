"""JSON routes of the caller's own accounts: the wallet, and pots for money put aside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, status
from pydantic import BaseModel, ConfigDict

from shared.db.retries import in_transaction
from shared.http.dependencies import Caller, CurrentResources
from shared.http.fields import Body, Name, Paise
from shared.http.pagination import Page, PageQuery, cursor_of
from shared.http.problems import problem_responses
from shared.http.query_parameters import Moment
from shared.ids import new_id
from shared.ledger.accounts import account_of
from shared.ledger.errors import AccountClosed, AccountFrozen, AccountNotFound, HistoryArchived
from shared.models import Account
from shared.transfers import queries
from shared.transfers.errors import PotMayBeRefunded, PotNameTaken, PotNotEmpty, TooManyPots
from shared.transfers.pots import change_pot, close_pot, open_pot

router = APIRouter(prefix="/accounts", tags=["accounts"])

_EXAMPLE_ID = "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10"


class PotIn(Body):
    """A new pot."""

    name: Name

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Goa trip"}]})


class PotChangesIn(Body):
    """What a pot is called and has to reach; without `goal` it has none."""

    name: Name
    goal: Paise | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Goa in May", "goal": 1500000}]})


class AccountOut(BaseModel):
    """An account. Amounts in paise; only the wallet has a `wallet_id`."""

    id: UUID
    kind: Literal["wallet", "pot"]
    name: str
    wallet_id: str | None
    balance: int
    held: int
    available: int
    currency: str
    created_at: datetime
    goal: int | None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _EXAMPLE_ID,
                    "kind": "pot",
                    "name": "Goa trip",
                    "wallet_id": None,
                    "balance": 25000,
                    "held": 0,
                    "available": 25000,
                    "currency": "INR",
                    "created_at": "2026-11-20T09:30:00.123456Z",
                    "goal": 1500000,
                }
            ]
        }
    )


class BalanceOut(BaseModel):
    """A balance in paise. `at` is null for the present one; `derived` says that entries were added up for it."""

    account_id: UUID
    balance: int
    currency: str
    at: datetime | None
    derived: bool

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"account_id": _EXAMPLE_ID, "balance": 25000, "currency": "INR", "at": None, "derived": False}]
        }
    )


@router.get("")
async def list_accounts(caller: Caller, resources: CurrentResources, page: PageQuery) -> Page[AccountOut]:
    """The caller's wallet and pots, oldest first."""
    after = page.after_id()
    found = await resources.read(
        lambda session: queries.list_accounts(session, owner_id=caller.owner_id, limit=page.limit + 1, after=after)
    )
    items = found[: page.limit]
    next_cursor = cursor_of(items[-1].id) if len(found) > page.limit else None
    return Page(items=[_shown(account) for account in items], next_cursor=next_cursor)


@router.post(
    "", status_code=status.HTTP_201_CREATED, responses=problem_responses(PotNameTaken, TooManyPots, AccountFrozen)
)
async def create_pot(caller: Caller, resources: CurrentResources, body: PotIn) -> AccountOut:
    """Open a pot. Money gets there by a transfer to its id."""
    pot_id, most = new_id(), resources.settings.quotas.open_pots
    pot = await in_transaction(
        resources.sessionmaker,
        lambda session: open_pot(session, pot_id=pot_id, owner_id=caller.owner_id, name=body.name, most=most),
    )
    return _shown(pot)


@router.get("/{account_id}", responses=problem_responses(AccountNotFound))
async def get_account(caller: Caller, resources: CurrentResources, account_id: UUID) -> AccountOut:
    """One of the caller's accounts."""
    return _shown(await resources.read(lambda session: account_of(session, caller.owner_id, account_id)))


@router.put("/{account_id}", responses=problem_responses(AccountNotFound, AccountClosed, PotNameTaken))
async def update_pot(caller: Caller, resources: CurrentResources, account_id: UUID, body: PotChangesIn) -> AccountOut:
    """Rename a pot, and set its goal or take it away."""
    pot = await in_transaction(
        resources.sessionmaker,
        lambda session: change_pot(
            session, owner_id=caller.owner_id, pot_id=account_id, name=body.name, goal=body.goal
        ),
    )
    return _shown(pot)


@router.post(
    "/{account_id}/close",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problem_responses(AccountNotFound, PotNotEmpty, PotMayBeRefunded),
)
async def end_pot(caller: Caller, resources: CurrentResources, account_id: UUID) -> None:
    """Close an empty pot for good; its history stays. One that paid a shop stays open until all was refunded."""
    await in_transaction(
        resources.sessionmaker,
        lambda session: close_pot(session, owner_id=caller.owner_id, pot_id=account_id),
    )


@router.get("/{account_id}/balance", responses=problem_responses(AccountNotFound, HistoryArchived))
async def get_account_balance(
    caller: Caller,
    resources: CurrentResources,
    account_id: UUID,
    at: Annotated[
        Moment | None, Query(description="The balance as of this moment; a date is its start, in UTC")
    ] = None,
    derived: Annotated[
        bool,
        Query(description="Add up every entry, from the opening balance on, instead of reading the stored balance"),
    ] = False,
) -> BalanceOut:
    """The balance, now or as of a moment in the past."""
    balance = await resources.read(
        lambda session: queries.get_balance(
            session, owner_id=caller.owner_id, account_id=account_id, at=at, is_derived=derived
        )
    )
    return BalanceOut(account_id=account_id, balance=balance.amount, currency=balance.currency, at=at, derived=derived)


def _shown(account: Account) -> AccountOut:
    return AccountOut.model_validate(
        {
            "id": account.id,
            "kind": account.kind,
            "name": account.name,
            "wallet_id": account.handle,
            "balance": account.balance,
            "held": account.held,
            "available": account.available,
            "currency": account.currency,
            "created_at": account.created_at,
            "goal": account.goal,
        }
    )
