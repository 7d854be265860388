"""The statement: `GET /transactions`, and the same as CSV."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from shared.api.errors import ExportBusy, TooManyLines
from shared.api.statement_csv import csv_response
from shared.api.statement_xlsx import XLSX, xlsx_response
from shared.auth.queries import zone_of
from shared.auth.tokens import Identity
from shared.db.reads import Row
from shared.http.dependencies import Caller, CurrentResources, SignedInCaller, signed_in
from shared.http.pagination import DEFAULT_LIMIT, MAX_CURSOR_LENGTH, Page, PageQuery, PageRequest
from shared.http.problems import problem_responses
from shared.http.query_parameters import StatementQuery, StatementRequest
from shared.http.receipts import PartyOut
from shared.http.responses import page_response, written_page_response
from shared.http.shortcuts import ShortcutRoute, announces_body, shortcut
from shared.ledger import statement
from shared.ledger.accounts import account_of, wallet_of
from shared.ledger.errors import AccountNotFound
from shared.ledger.openings import Opening
from shared.ledger.parties import Holder
from shared.ledger.rules import Direction, TransferKind
from shared.ledger.statement import Line
from shared.models import Account
from shared.runtime.resources import Resources

router = APIRouter(tags=["transactions"], route_class=ShortcutRoute)

Totals = Annotated[bool, Query(description="End with the sums of what came in and what went out")]

_ALL_OF_THE_WALLET = StatementRequest(None, statement.EVERYTHING)
_PAGE = re.compile(rb"(?:limit=([1-9][0-9]?|100))?(?:(?:^|&)cursor=([A-Za-z0-9_-]{1,%d}))?" % MAX_CURSOR_LENGTH)


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


class OpeningOut(BaseModel):
    """What was on the account, in paise, after the newest of the transactions that are archived, which are older."""

    balance: int
    archived_until: datetime


class StatementOut(Page[TransactionOut]):
    """A page of the statement. The last one has the `opening` balance where earlier transactions are archived."""

    opening: OpeningOut | None = Field(default=None, exclude_if=lambda opening: opening is None)


async def _well_formed(request: Request) -> dict[str, Any] | None:
    """The parameters of `list_transactions`, when no filter and no body is there."""
    page = _PAGE.fullmatch(request.scope["query_string"])
    if page is None or announces_body(request):
        return None
    limit, cursor = page.groups()
    return {
        "caller": await signed_in(request),
        "resources": request.app.state.resources,
        "asked": _ALL_OF_THE_WALLET,
        "page": PageRequest(int(limit or DEFAULT_LIMIT), None if cursor is None else cursor.decode()),
    }


@router.get("/transactions", response_model=StatementOut, responses=problem_responses(AccountNotFound))
@shortcut(_well_formed)
async def list_transactions(
    caller: SignedInCaller, resources: CurrentResources, asked: StatementQuery, page: PageQuery
) -> Response:
    """Transactions, newest first. With filters a page may be short and still have a `next_cursor`."""
    owner_id, wallet_account = caller.identity.owner_id, caller.wallet.account_id
    if asked == _ALL_OF_THE_WALLET:
        written = await resources.statements.read(
            wallet_account,
            owner_id=owner_id,
            limit=page.limit,
            before_seq=page.after_number(),
            newest_seq=caller.wallet.seq,
        )
        more = "" if written.opening is None else f',"opening":{written.opening}'
        return written_page_response(written.items, written.next_before, more)
    found = await statement.read_rows(
        await resources.history_of(caller.wallet, asked.account_id),
        asked.account_id or wallet_account,
        owner_id=owner_id,
        limit=page.limit,
        before_seq=page.after_number(),
        wanted=asked.wanted,
    )
    opening = found.opening
    members = None if opening is None else {"opening": {"balance": opening.balance, "archived_until": opening.until}}
    return page_response([_body(row, owner_id) for row in found.rows], found.next_before, members)


@router.get(
    "/transactions.csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **problem_responses(AccountNotFound)},
)
async def export_transactions(
    caller: Caller,
    resources: CurrentResources,
    asked: StatementQuery,
    totals: Totals = False,
    bom: Annotated[bool, Query(description="Begin with a byte order mark, for spreadsheets")] = False,
) -> StreamingResponse:
    """Every matching transaction as CSV, without a limit on their number; amounts in rupees.

    `local_time` is in the owner's time zone.
    """
    lines, zone = await _exported(caller, resources, asked)
    return csv_response(lines, zone=zone, begins_with_mark=bom, has_totals=totals)


@router.get(
    "/transactions.xlsx",
    response_class=StreamingResponse,
    responses={
        200: {"content": {XLSX: {"schema": {"type": "string", "format": "binary"}}}},
        **problem_responses(AccountNotFound, TooManyLines, ExportBusy),
    },
)
async def export_workbook(
    caller: Caller, resources: CurrentResources, asked: StatementQuery, totals: Totals = False
) -> StreamingResponse:
    """The matching transactions as a workbook, at most 20,000; amounts in rupees, times in the owner's time zone."""
    lines, zone = await _exported(caller, resources, asked)
    return await xlsx_response(lines, zone=zone, has_totals=totals)


async def _exported(
    caller: Identity, resources: Resources, asked: StatementRequest
) -> tuple[AsyncIterator[Line | Opening], ZoneInfo]:
    async def read(session: AsyncSession) -> tuple[Account, ZoneInfo]:
        account = await _account(session, caller.owner_id, asked.account_id)
        return account, await zone_of(session, caller.owner_id)

    account, zone = await resources.read(read)
    return statement.stream(resources.history(account.id, account.seq), account.id, wanted=asked.wanted), zone


async def _account(session: AsyncSession, owner_id: UUID, account_id: UUID | None) -> Account:
    if account_id is None:
        return await wallet_of(session, owner_id)
    return await account_of(session, owner_id, account_id)


def transaction_of(line: Line) -> TransactionOut:
    """A line of a statement as JSON: in the answer of `GET /transactions`, and in events."""
    return TransactionOut(
        id=line.transfer_id,
        direction=line.direction,
        kind=line.kind,
        amount=line.amount,
        balance_after=line.balance_after,
        counterparty=PartyOut.of(line.counterparty),
        note=line.note,
        created_at=line.created_at,
        refundable=line.refundable,
    )


def _body(row: Row, reader: UUID) -> dict[str, Any]:
    """A row of a statement as a `TransactionOut`. Twenty models and their parts cost more than reading the rows."""
    transfer_id, _, direction, kind, amount, balance_after, note, created_at, given_back, *holder = row
    wallet_id, name = Holder(*holder).seen_by(reader)
    body = {
        "id": str(transfer_id),
        "direction": direction,
        "kind": kind,
        "amount": amount,
        "balance_after": balance_after,
        "counterparty": {"wallet_id": wallet_id, "name": name},
        "note": note,
        "created_at": created_at,
    }
    if given_back is not None:
        body["refundable"] = amount - given_back
    return body
