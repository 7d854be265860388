"""The dashboard: what the shop received today, in a range of days that its address names, and the newest payments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from services.merchant_app.dashboard_figures import figures_of, report_figures
from shared import calendar, clock
from shared.auth.queries import get_shop_profile
from shared.errors import Invalid
from shared.http.dependencies import CurrentResources, SignedInCaller
from shared.http.errors import InvalidRequest
from shared.http.fields import Body
from shared.http.query_parameters import Day
from shared.inflow import queries, ranges
from shared.inflow.errors import RangeNotBegun, RangeOutOfReach, RangeReversed, RangeTooLong
from shared.inflow.report import report
from shared.inflow.spans import PRESETS, Preset, Span, span_between, span_of
from shared.ledger import statement
from shared.ledger.statement import Filter
from shared.pages.forms import Form
from shared.pages.reminders import reminders
from shared.pages.rendering import render
from shared.pages.statement_filters import RANGE_REVERSED

router = APIRouter()

NEWEST_PAYMENTS = 10
_PAYMENTS = Filter(direction="CREDIT", kind="payment")
_DEFAULT: Preset = "30-days"
_NAMES: Mapping[Preset, str] = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7-days": "7 days",
    "30-days": "30 days",
    "this-month": "This month",
    "last-month": "Last month",
    "12-months": "12 months",
}
_COMPLAINTS: Mapping[type[Invalid], tuple[str, str]] = {
    RangeReversed: ("until", RANGE_REVERSED),
    RangeTooLong: ("until", f"Choose at most {ranges.MAX_DAYS} days"),
    RangeOutOfReach: ("since", f"Choose days from {ranges.FIRST_YEAR} on"),
    RangeNotBegun: ("since", "This day has not come yet. Choose today, or a day before"),
}
"""The field, and what to do."""


class ChosenDays(Body):
    """The fields of the form of a range; both days are included."""

    since: Day | None = None
    until: Day | None = None


@router.get("/")
async def show_dashboard(request: Request, caller: SignedInCaller, resources: CurrentResources) -> Response:
    """The page after sign-in: today, this month, the newest payments, and the report of the range."""
    wallet = caller.wallet
    shop = await get_shop_profile(resources.reads, caller.identity.owner_id)
    zone = ZoneInfo(shop.timezone)
    today = calendar.today(clock.now(), zone)
    form = Form({name: request.query_params[name] for name in ("since", "until") if name in request.query_params})
    preset, span = _read_range(form, request.query_params.get("range"), today)
    reads = resources.history(wallet.account_id, wallet.seq)
    newest = await statement.read_page(reads, wallet.account_id, limit=NEWEST_PAYMENTS, wanted=_PAYMENTS)
    overview = await queries.overview(reads, wallet.account_id, zone)
    received = await report(reads, wallet.account_id, zone, span)
    return render(
        request,
        "dashboard.html",
        status=form.status,
        now=clock.now(),
        shop=shop,
        reminders=reminders(request),
        zone=zone,
        wallet=wallet,
        newest=newest.lines,
        figures=figures_of(overview, zone),
        range=report_figures(received, today=today, zone=zone),
        preset=preset,
        presets=_NAMES,
        form=form,
        days_query=urlencode({"since": span.first.isoformat(), "until": span.last.isoformat()}),
    )


def _read_range(form: Form, name: str | None, today: date) -> tuple[Preset | None, Span]:
    """The preset of the address, or its days, which are no preset. Days that cannot be are shown at their field, and
    then the default is used.
    """
    if any(form.values.values()):
        with form.catching():
            chosen = form.read(ChosenDays)
            try:
                return None, span_between(chosen.since, chosen.until, today=today)
            except tuple(_COMPLAINTS) as error:
                raise InvalidRequest.of(*_COMPLAINTS[type(error)]) from None
    preset = next((each for each in PRESETS if each == name), _DEFAULT)
    return preset, span_of(preset, today)
