"""The console: what is wrong with each bank (to change), its book, and its notices (to send again)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from services.dummy_bank import notices
from services.dummy_bank.errors import BankSaysNo
from services.dummy_bank.pages.rendering import page, read_form
from services.dummy_bank.routes.dependencies import BankDep, SimulatorDep
from services.dummy_bank.settings import BankProfile
from services.dummy_bank.simulator import Simulator
from shared.bank.wire import Faults

router = APIRouter(include_in_schema=False)

NEWEST = 30
_SWITCHES = {"down", "idempotency"}
_CHOICES = {"hold_at"}


@router.get("/")
async def show(request: Request, simulator: SimulatorDep) -> Response:
    """Everything on one page, bank by bank."""
    return _console(request, simulator)


@router.post("/{bank}/console/faults")
async def choose_faults(request: Request, simulator: SimulatorDep, profile: BankDep) -> Response:
    """Set the bank's faults from the form; a box not ticked is off, a number left empty is 0."""
    try:
        faults = _faults_of(await read_form(request))
    except ValidationError as error:
        first = error.errors()[0]
        return _console(request, simulator, f"{profile.name}: {first['loc'][0]}: {first['msg']}", 422)
    simulator.choose_faults(profile.code, faults)
    return RedirectResponse(f"/#{profile.code}", status_code=303)


@router.post("/{bank}/console/notices/{message_id}/resend")
async def resend(
    request: Request,
    message_id: Annotated[str, Path(max_length=128)],
    simulator: SimulatorDep,
    profile: BankDep,
) -> Response:
    """Send a notice again, then show how it went."""
    try:
        await simulator.resend(profile, message_id)
    except BankSaysNo as no:
        return _console(request, simulator, f"{profile.name}: {no.message}", no.status)
    return RedirectResponse(f"/#{profile.code}-notices", status_code=303)


def _console(request: Request, simulator: Simulator, wrong: str | None = None, status: int = 200) -> Response:
    banks = [_bank(simulator, profile) for profile in simulator.banks.values()]
    return page(request, "console.html", status=status, banks=banks, wrong=wrong)


def _bank(simulator: Simulator, profile: BankProfile) -> dict[str, Any]:
    database, code = simulator.database, profile.code
    return {
        "code": code,
        "name": profile.name,
        "faults": _fields(simulator.faults.of(code)),
        "accounts": database.rows("SELECT name, balance FROM accounts WHERE bank = ? ORDER BY name", code),
        "postings": database.rows("SELECT * FROM postings WHERE bank = ? ORDER BY id DESC LIMIT ?", code, NEWEST),
        "notices": notices.newest(database, code, NEWEST),
    }


def _fields(faults: Faults) -> list[dict[str, Any]]:
    """How to ask for each fault in a form."""
    asked: list[dict[str, Any]] = []
    kind: str
    bounds: dict[str, str]
    for name, value in faults.model_dump().items():
        if name in _SWITCHES:
            kind, bounds = "switch", {}
        elif name in _CHOICES:
            kind, bounds = "choice", {}
        elif name.endswith("_rate"):
            kind, bounds = "number", {"max": "1", "step": "0.01"}
        else:
            kind, bounds = "number", {"max": "60000" if name.endswith("_ms") else "2147483647", "step": "1"}
        asked.append({"name": name, "value": value, "kind": kind, **bounds})
    return asked


def _faults_of(form: dict[str, str]) -> Faults:
    chosen: dict[str, object] = {name: name in form for name in _SWITCHES}
    for name, text in form.items():
        if name in _SWITCHES or name not in Faults.model_fields:
            continue
        if text.strip():
            chosen[name] = text.strip()
    # A form has only text, so numbers are read from it here; the bounds are the same.
    return Faults.model_validate(chosen, strict=False)
