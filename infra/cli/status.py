"""`batua status`: one screen that says how the house stands."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from infra.cli.database import in_transaction
from infra.cli.failures import FAILED
from infra.cli.output import AsJson, moment, show
from infra.local.layout import Layout
from shared.money import Money
from shared.operators.overview import Overview, overview

HTTP_SECONDS = 2.0
_ADDRESSES = {
    "user_app": "BATUA_USER_APP_URL",
    "merchant_app": "BATUA_MERCHANT_APP_URL",
}
"""Where a service answers, if the environment says so."""


def status(
    ask: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Also ask the service at this address; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show services, queue, circuits, proof and lag. Exit 0: all is well; 1: look into it; 2: it is not known."""
    seen = in_transaction(overview, name="batua status")
    services = [_asked(name, url) for name, url in _addresses(ask or []).items()]
    away = [f"{each['service']} is not ready: {each['answer']}." for each in services if not each["ok"]]
    seen.attention = [*away, *seen.attention]
    if as_json:
        show(asdict(seen) | {"services": services}, (), as_json=True)
    else:
        _print(seen, services)
    if seen.attention:
        raise typer.Exit(FAILED)


def _addresses(given: list[str]) -> dict[str, str]:
    layout = Layout.from_environment()
    local = {"bank_webhook": layout.url("bank_webhook")} if layout.secrets_file.exists() else {}
    known = {name: url for name, variable in _ADDRESSES.items() if (url := os.environ.get(variable))}
    return local | known | {url: url for url in given}


def _asked(name: str, url: str) -> dict[str, Any]:
    """What `/readyz` answers."""
    try:
        response = httpx.get(f"{url.rstrip('/')}/readyz", timeout=HTTP_SECONDS)
        ok, answer = response.is_success, str(response.status_code)
    except httpx.HTTPError as error:
        ok, answer = False, type(error).__name__
    return {"service": name, "url": url, "ok": ok, "answer": answer}


def _print(seen: Overview, services: list[dict[str, Any]]) -> None:
    console = Console(highlight=False)
    console.print(_services(seen, services))
    console.print(_queue(seen))
    banks = ", ".join(f"{each['bank']} {each['state']}" for each in seen.circuits)
    lags = ", ".join(f"{each['name']} {each['lag_seconds'] or 0:.1f} s" for each in seen.standbys) or "none"
    proof = seen.proof
    for label, value in (
        ("Circuits", banks),
        ("Proof", "holds" if proof["holds"] else "FAILED"),
        ("", f"quick {moment(proof['last_quick_at']) or 'never'}, whole {moment(proof['last_whole_at']) or 'never'}"),
        ("Scheduler", f"at work until {moment(seen.scheduler_until)}" if seen.scheduler_until else "never seen"),
        ("Standbys", lags),
        ("Mail", f"{seen.mails_waiting} waiting"),
        ("Frozen", f"{seen.frozen_owners} owners"),
        ("Proposals", f"{seen.open_proposals} open"),
        ("Differences", f"{seen.differences_to_banks} to banks' statements"),
    ):
        console.print(f"{label:<12} {value}", markup=False)
    for sentence in seen.attention:
        console.print(f"! {sentence}", style="bold red", markup=False, soft_wrap=True)
    if not seen.attention:
        console.print("All is well.", style="green")


def _services(seen: Overview, services: list[dict[str, Any]]) -> Table:
    answers = {each["service"]: each["answer"] for each in services}
    connected = {each["service"]: each for each in seen.connected}
    table = Table("service", "ready", "connections", "since", title=moment(seen.at), title_justify="left")
    for name in sorted({*answers, *connected}):
        each = connected.get(name, {"connections": 0, "since": None})
        table.add_row(name, answers.get(name, ""), str(each["connections"]), moment(each["since"]))
    return table


def _queue(seen: Overview) -> Table:
    table = Table("waiting", "count", "amount", "oldest since")
    for each in seen.withdrawals:
        row = (str(each["count"]), str(Money(each["amount"])), moment(each["oldest_at"]))
        table.add_row(f"withdrawals {each['status']}", *row)
    table.add_row("on-ramps pending", str(seen.on_ramps_pending), "", moment(seen.oldest_on_ramp_at))
    return table
