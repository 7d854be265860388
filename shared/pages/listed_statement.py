"""An owner's statement as a page of both apps: filtered and searched by its address, part by part, and as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from shared.auth.sessions import SignedIn
from shared.http.pagination import PageRequest
from shared.ledger.openings import Opening
from shared.ledger.statement import EVERYTHING, read_page
from shared.ledger.statement_totals import StatementTotals, read_totals
from shared.movement_words import KINDS
from shared.pages import formatting
from shared.pages.forms import Form
from shared.pages.listed_lines import ListedDay, by_day
from shared.pages.statement_filters import StatementFilters
from shared.runtime.database import Database

LINES_PER_PAGE = 25
_DIRECTION_WORDS: Mapping[str, str] = {"CREDIT": "Money in", "DEBIT": "Money out"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedStatement:
    """One part of a statement, newest first, and the addresses of the others. `form` is the form of the filters."""

    form: Form
    zone: ZoneInfo
    days: Sequence[ListedDay]
    is_filtered: bool
    totals: StatementTotals | None
    """In and out by the filters; None without filters, where too many lines would have to be added up, and where some
    of them are archived."""
    is_continued: bool
    """Whether newer lines are on an earlier part."""
    csv_path: str
    xlsx_path: str
    newest_path: str
    older_path: str | None
    opening: Opening | None
    """On the last part, where earlier lines are archived."""

    @property
    def kind_options(self) -> Sequence[tuple[str, str]]:
        """The options of the filter by kind."""
        return [("", "Everything"), *((kind, names.all) for kind, names in KINDS.items())]

    @property
    def direction_options(self) -> Sequence[tuple[str, str]]:
        """The options of the filter by direction."""
        return [("", "In and out"), *_DIRECTION_WORDS.items()]

    @property
    def filter_words(self) -> str:
        """What the list is limited to, as a person says it: `“chai” · Money in · From 1 Apr 2026`."""
        given = {name: self.form.value(name) for name in ("q", "direction", "kind", "since", "until")}
        said = (
            given["q"] and f"“{given['q']}”",
            _DIRECTION_WORDS.get(given["direction"]),
            dict(self.kind_options).get(given["kind"]) if given["kind"] else None,
            given["since"] and f"From {_day_of(given['since'])}",
            given["until"] and f"Until {_day_of(given['until'])}",
        )
        return " · ".join(words for words in said if words)


async def list_statement(
    database: Database, caller: SignedIn, asked: Mapping[str, str], *, path: str, line_path: str, zone: ZoneInfo
) -> ListedStatement:
    """The statement at `path` with the query parameters `asked`; its days are those of `zone`.

    A parameter that cannot be read is shown at its field, and then nothing is filtered. Raises AccountNotFound for an
    account that is not the owner's.
    """
    form, filters = Form(dict(asked)), StatementFilters()
    before_seq: int | None = None
    with form.catching():
        filters = form.read(StatementFilters)
        before_seq = PageRequest(LINES_PER_PAGE, filters.cursor).after_number()
    account_id, owner_id = filters.account or caller.wallet.account_id, caller.identity.owner_id
    wanted = filters.wanted(zone)
    reads = await database.history_of(caller.wallet, filters.account)
    part = await read_page(
        reads, account_id, owner_id=owner_id, limit=LINES_PER_PAGE, before_seq=before_seq, wanted=wanted
    )
    totals = None
    if wanted != EVERYTHING:
        totals = await read_totals(reads, account_id, owner_id=owner_id, wanted=wanted)
    return ListedStatement(
        form=form,
        zone=zone,
        days=by_day(part.lines, path=line_path, zone=zone, own_wallet_id=caller.wallet.wallet_id),
        is_filtered=bool(filters.given),
        totals=totals,
        is_continued=before_seq is not None,
        csv_path=filters.csv_path(zone),
        xlsx_path=filters.xlsx_path(zone),
        newest_path=filters.newest_path(path),
        older_path=None if part.next_before is None else filters.older_path(path, part.next_before),
        opening=part.opening,
    )


def _day_of(given: str) -> str:
    return formatting.on_day(date.fromisoformat(given))
