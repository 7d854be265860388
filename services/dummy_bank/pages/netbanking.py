"""The bank's own page: who asks for what, sign in, approve or decline, back to where one came from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse

from services.dummy_bank import netbanking
from services.dummy_bank.database import Row
from services.dummy_bank.dependencies import BankDep, SimulatorDep
from services.dummy_bank.errors import BankError
from services.dummy_bank.pages.rendering import page, read_form
from services.dummy_bank.settings import BankProfile
from services.dummy_bank.simulator import Simulator

router = APIRouter(prefix="/{bank}/netbanking", include_in_schema=False)

Token = Annotated[str, Path(max_length=128)]

_DECISIONS = {"approve": True, "decline": False}


@router.get("/{token}")
async def show(request: Request, token: Token, simulator: SimulatorDep, profile: BankDep) -> Response:
    """The form, or how it was decided."""
    session = _find(simulator, profile, token)
    if session is None:
        return _unavailable(request, profile, simulator)
    return _form(request, profile, session)


@router.post("/{token}")
async def decide(request: Request, token: Token, simulator: SimulatorDep, profile: BankDep) -> Response:
    """Decide once, then go back (303). What is wrong with the form is said on it."""
    session = _find(simulator, profile, token)
    if session is None:
        return _unavailable(request, profile, simulator)
    form = await read_form(request)
    customer_id = form.get("customer_id", "")[:64]
    approve = _DECISIONS.get(form.get("decision", ""))
    if approve is None:
        return _form(request, profile, session, status=422, wrong="Choose Approve or Decline.", customer_id=customer_id)
    try:
        with simulator.database.transaction() as connection:
            netbanking.decide(
                connection,
                profile,
                simulator.faults.of(profile.code),
                token=token,
                customer_id=customer_id,
                password=form.get("password", ""),
                approve=approve,
            )
    except netbanking.AlreadyDecided:
        return _form(request, profile, _find(simulator, profile, token) or session, status=409)
    except netbanking.WrongCredentials:
        words = "That customer ID and password do not go together. Please try again."
        return _form(request, profile, session, status=401, wrong=words, customer_id=customer_id)
    simulator.wake()
    return RedirectResponse(session["return_url"], status_code=303)


def _find(simulator: Simulator, profile: BankProfile, token: str) -> Row | None:
    """The session; None when there is none, or the bank is down."""
    if simulator.faults.of(profile.code).down:
        return None
    try:
        with simulator.database.transaction() as connection:
            return netbanking.find_session(connection, profile.code, token)
    except BankError:
        return None


def _unavailable(request: Request, profile: BankProfile, simulator: Simulator) -> Response:
    down = simulator.faults.of(profile.code).down
    return page(
        request,
        "unavailable.html",
        status=503 if down else 404,
        headers={"retry-after": "5"} if down else None,
        bank=profile,
        down=down,
    )


def _form(
    request: Request,
    profile: BankProfile,
    session: Row,
    *,
    status: int = 200,
    wrong: str | None = None,
    customer_id: str = "",
) -> Response:
    headers = {"www-authenticate": 'Form realm="netbanking"'} if status == 401 else None  # noqa: PLR2004
    return page(
        request,
        "netbanking.html",
        status=status,
        headers=headers,
        leads_to=session["return_url"],
        bank=profile,
        session=session,
        wrong=wrong,
        customer_id=customer_id,
    )
