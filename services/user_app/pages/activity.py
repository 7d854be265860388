"""Activity: everything that came and went, filtered, searched, page by page, and as CSV."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.tokens import Identity
from shared.calendar import INDIA
from shared.http.dependencies import Caller, ReadSession
from shared.http.pagination import PageRequest
from shared.ledger import statement
from shared.ledger.accounts import account_of, wallet_of
from shared.pages.forms import Form
from shared.pages.listed_lines import KIND_NAMES, by_day
from shared.pages.rendering import render
from shared.pages.statement_filters import StatementFilters
from shared.transfers.commands import MAX_POTS
from shared.transfers.queries import list_accounts

router = APIRouter()

PER_PAGE = 25
PATH = "/activity"


class ActivityQuery(StatementFilters):
    """What the address asks for; days as they are in India."""

    account: UUID | None = None

    def csv_path_of_account(self) -> str:
        """Where the same lines are had as CSV, whose parameter has another name."""
        more = {} if self.account is None else {"account_id": str(self.account)}
        return self.model_copy(update={"account": None}).csv_path(INDIA, **more)


@router.get(PATH)
async def show_activity(request: Request, caller: Caller, session: ReadSession) -> Response:
    """Movements, newest first. A filter that cannot be read is said beside its field, and nothing is filtered."""
    form, asked = Form(dict(request.query_params)), ActivityQuery()
    before_seq: int | None = None
    with form.catching():
        asked = form.read(ActivityQuery)
        before_seq = PageRequest(PER_PAGE, asked.cursor).after_number()
    account_id = await _account_id(session, caller, asked)
    found = await statement.read_page(
        session, account_id, limit=PER_PAGE, before_seq=before_seq, wanted=asked.wanted(INDIA)
    )
    accounts = await list_accounts(session, owner_id=caller.owner_id, limit=MAX_POTS + 1)
    return render(
        request,
        "activity.html",
        status=form.status,
        form=form,
        accounts=[(str(each.id), "Wallet" if each.kind == "wallet" else each.name) for each in accounts],
        kinds=KIND_NAMES,
        days=by_day(found.lines),
        is_filtered=bool(asked.given),
        is_continued=before_seq is not None,
        csv_path=asked.csv_path_of_account(),
        first_path=asked.first_path(PATH),
        next_path=None if found.next_before is None else asked.next_path(PATH, found.next_before),
    )


async def _account_id(session: AsyncSession, caller: Identity, asked: ActivityQuery) -> UUID:
    if asked.account is None:
        return (await wallet_of(session, caller.owner_id)).id
    return (await account_of(session, caller.owner_id, asked.account)).id
