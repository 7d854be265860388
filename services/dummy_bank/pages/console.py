"""The console: what is wrong with each bank (to change), its book, and its notices (to send again)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from services.dummy_bank import notice_queue
from services.dummy_bank.book import CUSTOMERS, NODAL
from services.dummy_bank.dependencies import BankDep, SimulatorDep
from services.dummy_bank.errors import BankError
from services.dummy_bank.faults import Faults
from services.dummy_bank.pages import fault_fields
from services.dummy_bank.pages.rendering import page, read_form
from services.dummy_bank.settings import BankProfile
from services.dummy_bank.simulator import Simulator

router = APIRouter(include_in_schema=False)

NEWEST = 30
_SHOWN_NAMES = {
    NODAL: "Platform's nodal account",
    "outside": "Other banks",
    **{person.account: person.name for person in CUSTOMERS.values()},
}


@router.get("/")
async def show(request: Request, simulator: SimulatorDep) -> Response:
    """Everything on one page, bank by bank."""
    return _console(request, simulator)


@router.post("/{bank}/console/faults")
async def choose_faults(request: Request, simulator: SimulatorDep, profile: BankDep) -> Response:
    """Set the bank's faults from the form; a box not ticked is off, a number left empty is 0."""
    form = await read_form(request)
    try:
        faults = fault_fields.read(form)
    except ValidationError as error:
        wrong = {str(each["loc"][0]): each["msg"] for each in error.errors()}
        words = f"{profile.name}: nothing was changed. " + "; ".join(f"{name}: {said}" for name, said in wrong.items())
        return _console(request, simulator, words, 422, typed={profile.code: form}, wrong_fields=wrong)
    simulator.choose_faults(profile.code, faults)
    return _back_to(profile.code)


@router.post("/{bank}/console/power")
async def choose_power(request: Request, simulator: SimulatorDep, profile: BankDep) -> Response:
    """Take the bank `down`, bring it `up`, or make it `well`: without any fault. Else nothing changes."""
    wanted = (await read_form(request)).get("to")
    faults = simulator.faults.of(profile.code)
    if wanted == "well":
        simulator.choose_faults(profile.code, Faults(seed=faults.seed))
    elif wanted in ("down", "up"):
        simulator.choose_faults(profile.code, faults.model_copy(update={"down": wanted == "down"}))
    return _back_to(profile.code)


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
    except BankError as error:
        return _console(request, simulator, f"{profile.name}: {error.message}", error.status)
    return _back_to(f"{profile.code}-notices")


def _back_to(place: str) -> Response:
    return RedirectResponse(f"/#{place}", status_code=303)


def _console(
    request: Request,
    simulator: Simulator,
    wrong: str | None = None,
    status: int = 200,
    *,
    typed: Mapping[str, Mapping[str, str]] | None = None,
    wrong_fields: Mapping[str, str] | None = None,
) -> Response:
    banks = []
    for profile in simulator.banks.values():
        form = (typed or {}).get(profile.code)
        banks.append(_bank(simulator, profile, form, wrong_fields or {} if form is not None else {}))
    return page(
        request,
        "console.html",
        status=status,
        has_script=True,
        banks=banks,
        wrong=wrong,
        shown_names=_SHOWN_NAMES,
        hold_choices=fault_fields.HOLD_CHOICES,
    )


def _bank(
    simulator: Simulator, profile: BankProfile, typed: Mapping[str, str] | None, wrong: Mapping[str, str]
) -> dict[str, Any]:
    database, code = simulator.database, profile.code
    faults = simulator.faults.of(code)
    return {
        "code": code,
        "name": profile.name,
        "down": faults.down,
        "fault_count": fault_fields.count_of(faults),
        "groups": fault_fields.groups_of(faults, typed, wrong),
        "accounts": database.rows("SELECT name, balance FROM accounts WHERE bank = ? ORDER BY name", code),
        "postings": database.rows("SELECT * FROM postings WHERE bank = ? ORDER BY id DESC LIMIT ?", code, NEWEST),
        "notices": notice_queue.newest(database, code, NEWEST),
    }
