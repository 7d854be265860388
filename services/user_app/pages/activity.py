"""Activity: everything that came and went, filtered, searched, page by page, and as CSV."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from services.user_app.pages.movements import KIND_NAMES, by_day
from shared.auth.tokens import Identity
from shared.ledger import statement
from shared.ledger.accounts import account_of, wallet_of
from shared.ledger.posting import Direction, TransferKind
from shared.ledger.statement import Filter
from shared.transfers.pots import MAX_POTS, accounts_of
from shared.web.dependencies import Caller, ReadSession
from shared.web.fields import Body
from shared.web.pages import words
from shared.web.pages.forms import Form
from shared.web.pages.rendering import render
from shared.web.pagination import MAX_CURSOR_LENGTH, PageRequest, cursor_of
from shared.web.queries import Day, OptionalSearch

router = APIRouter()

PER_PAGE = 25
_INDIA = ZoneInfo(words.INDIA)


class ActivityQuery(Body):
    """What the address asks for; days as they are in India, both included."""

    account: UUID | None = None
    direction: Direction | None = None
    kind: TransferKind | None = None
    since: Day | None = None
    until: Day | None = None
    q: OptionalSearch = None
    cursor: Annotated[str, Field(max_length=MAX_CURSOR_LENGTH)] | None = None

    @property
    def wanted(self) -> Filter:
        """As the statement reads it, in moments."""
        return Filter(self.direction, self.kind, _start(self.since), _end(self.until), self.q)

    @property
    def filters(self) -> dict[str, str]:
        """What of the address says which lines, without where in them one is."""
        return self.model_dump(mode="json", exclude={"cursor"}, exclude_none=True)

    def csv_path(self) -> str:
        """Where the same lines are had as CSV."""
        since, until = _start(self.since), _end(self.until)
        asked = {
            "account_id": self.account,
            "direction": self.direction,
            "kind": self.kind,
            "from": since and since.isoformat(),
            "to": until and until.isoformat(),
            "q": self.q,
        }
        query = urlencode({name: str(value) for name, value in asked.items() if value is not None})
        return "/api/v1/transactions.csv" + (f"?{query}" if query else "")

    def first_path(self) -> str:
        """The page with the newest lines."""
        return "/activity?" + urlencode(self.filters)

    def next_path(self, before_seq: int) -> str:
        """The page with older lines."""
        return "/activity?" + urlencode({**self.filters, "cursor": cursor_of(before_seq)})


@router.get("/activity")
async def show_activity(request: Request, caller: Caller, session: ReadSession) -> Response:
    """Movements, newest first. A filter that cannot be read is said beside its field, and nothing is filtered."""
    form, asked = Form(dict(request.query_params)), ActivityQuery()
    before_seq: int | None = None
    with form.catching():
        asked = form.read(ActivityQuery)
        before_seq = PageRequest(PER_PAGE, asked.cursor).after_number()
    account_id = await _account_id(session, caller, asked)
    found = await statement.page(session, account_id, limit=PER_PAGE, before_seq=before_seq, wanted=asked.wanted)
    accounts = await accounts_of(session, caller.owner_id, limit=MAX_POTS + 1)
    return render(
        request,
        "activity.html",
        status=form.status,
        form=form,
        accounts=[(str(each.id), "Wallet" if each.kind == "wallet" else each.name) for each in accounts],
        kinds=KIND_NAMES,
        days=by_day(found.lines),
        is_filtered=bool(asked.filters),
        is_continued=before_seq is not None,
        csv_path=asked.csv_path(),
        first_path=asked.first_path(),
        next_path=None if found.next_before is None else asked.next_path(found.next_before),
    )


async def _account_id(session: AsyncSession, caller: Identity, asked: ActivityQuery) -> UUID:
    if asked.account is None:
        return (await wallet_of(session, caller.owner_id)).id
    return (await account_of(session, caller.owner_id, asked.account)).id


def _start(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time.min, tzinfo=_INDIA)


def _end(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time.max, tzinfo=_INDIA)
