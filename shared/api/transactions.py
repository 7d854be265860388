"""The statement: `GET /transactions`, and the same as CSV."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from shared.api.statement_csv import csv_response
from shared.http.dependencies import Caller, CurrentResources, ReadSession
from shared.http.pagination import Page, PageQuery, cursor_of
from shared.http.problems import problem_responses
from shared.http.query_parameters import StatementQuery
from shared.http.receipts import PartyOut
from shared.ledger import statement
from shared.ledger.accounts import account_of, wallet_of
from shared.ledger.errors import AccountNotFound
from shared.ledger.rules import Direction, TransferKind
from shared.transfers.statement_lines import StatementLine, with_refunds

router = APIRouter(tags=["transactions"])


class TransactionOut(BaseModel):
    """One line of the statement. Amounts are paise; `id` is the transfer's.

    `refundable` is what can still be refunded of a payment that the caller received; other lines do not have it.
    """

    id: UUID
    direction: Direction
    kind: TransferKind
    amount: int
    balance_after: int
    counterparty: PartyOut
    note: str | None
    created_at: datetime
    refundable: int | None = Field(default=None, exclude_if=lambda left: left is None)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10",
                    "direction": "DEBIT",
                    "kind": "p2p",
                    "amount": 50000,
                    "balance_after": 150000,
                    "counterparty": {"wallet_id": "bob@batua", "name": "Bob Sen"},
                    "note": "rent",
                    "created_at": "2026-11-20T09:30:00.123456Z",
                }
            ]
        }
    )


@router.get("/transactions", responses=problem_responses(AccountNotFound))
async def list_transactions(
    caller: Caller, session: ReadSession, asked: StatementQuery, page: PageQuery
) -> Page[TransactionOut]:
    """Transactions, newest first. With filters a page may be short and still have a `next_cursor`."""
    account_id = await _account_id(session, caller.owner_id, asked.account_id)
    found = await statement.read_page(
        session, account_id, limit=page.limit, before_seq=page.after_number(), wanted=asked.wanted
    )
    next_cursor = None if found.next_before is None else cursor_of(found.next_before)
    items = [transaction_of(line) for line in await with_refunds(session, found.lines)]
    return Page(items=items, next_cursor=next_cursor)


@router.get(
    "/transactions.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **problem_responses(AccountNotFound)},
)
async def export_transactions(caller: Caller, resources: CurrentResources, asked: StatementQuery) -> StreamingResponse:
    """Every matching transaction as CSV, without a limit on their number; amounts in rupees."""
    async with resources.read_sessionmaker() as session:
        account_id = await _account_id(session, caller.owner_id, asked.account_id)
    return csv_response(statement.stream(resources.read_sessionmaker, account_id, wanted=asked.wanted))


async def _account_id(session: AsyncSession, owner_id: UUID, account_id: UUID | None) -> UUID:
    if account_id is None:
        return (await wallet_of(session, owner_id)).id
    return (await account_of(session, owner_id, account_id)).id


def transaction_of(shown: StatementLine) -> TransactionOut:
    """A line of a statement as JSON: in the answer of `GET /transactions`, and in events."""
    line = shown.line
    return TransactionOut(
        id=line.transfer_id,
        direction=line.direction,
        kind=line.kind,
        amount=line.amount,
        balance_after=line.balance_after,
        counterparty=PartyOut(wallet_id=line.counterparty.wallet_id, name=line.counterparty.name),
        note=line.note,
        created_at=line.created_at,
        refundable=shown.refundable,
    )
