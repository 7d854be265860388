"""What a bank does for the platform: netbanking sessions and payouts. The chosen faults apply here."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from services.dummy_bank import netbanking, payouts
from services.dummy_bank.dependencies import HangUpDep, KeyedBankDep, SimulatorDep
from services.dummy_bank.errors import bank_is_down
from services.dummy_bank.payout_call import answer_payout
from services.dummy_bank.problems import responses
from shared.banks.messages import PayoutAnswer, PayoutRequest, SessionOpened, SessionRequest, SessionState

router = APIRouter(prefix="/{bank}/api", tags=["bank"], responses=responses(400, 401, 404, 405, 413, 422, 500, 503))

PathText = Annotated[str, Path(min_length=1, max_length=128)]
ReferenceQuery = Annotated[str, Query(min_length=1, max_length=128)]


@router.get("/ping")
async def ping_bank(simulator: SimulatorDep, profile: KeyedBankDep) -> dict[str, str]:
    """Whether the bank is up."""
    if simulator.faults.of(profile.code).down:
        raise bank_is_down()
    return {"status": "up", "bank": profile.code}


@router.post("/netbanking/sessions", status_code=201, responses=responses(409))
async def open_session(asked: SessionRequest, simulator: SimulatorDep, profile: KeyedBankDep) -> SessionOpened:
    """Open a session in which one person may approve or decline one payment to the platform."""
    await simulator.delay_or_fail(profile.code, "session")
    with simulator.database.transaction() as connection:
        lifetime_seconds = simulator.settings.session_seconds
        token = netbanking.open_session(connection, profile.code, asked, lifetime_seconds)
        state = netbanking.state_of(netbanking.find_session(connection, profile.code, token))
    url = f"{simulator.settings.public_url.rstrip('/')}/{profile.code}/netbanking/{token}"
    return SessionOpened(token=token, url=url, expires_at=state.expires_at)


@router.get("/netbanking/sessions")
async def get_session_of(reference: ReferenceQuery, simulator: SimulatorDep, profile: KeyedBankDep) -> SessionState:
    """The state of the session that was opened under this reference."""
    await simulator.delay_or_fail(profile.code, "session")
    with simulator.database.transaction() as connection:
        return netbanking.state_of(netbanking.find_session_of(connection, profile.code, reference))


@router.get("/netbanking/sessions/{token}")
async def get_session(token: PathText, simulator: SimulatorDep, profile: KeyedBankDep) -> SessionState:
    """The state of a session."""
    await simulator.delay_or_fail(profile.code, "session")
    with simulator.database.transaction() as connection:
        return netbanking.state_of(netbanking.find_session(connection, profile.code, token))


@router.post("/netbanking/sessions/{token}/cancel")
async def cancel_session(token: PathText, simulator: SimulatorDep, profile: KeyedBankDep) -> SessionState:
    """End an undecided session. A decided one stays as it is; the answer says how."""
    await simulator.delay_or_fail(profile.code, "session")
    with simulator.database.transaction() as connection:
        state = netbanking.cancel_session(connection, profile, simulator.faults.of(profile.code), token)
    simulator.wake()
    return state


@router.post(
    "/transfers",
    responses={
        202: {"model": PayoutAnswer, "description": "Under way; the outcome follows by notice or enquiry"},
        **responses(409, 504),
    },
)
async def pay_out(
    *,
    asked: PayoutRequest,
    response: Response,
    simulator: SimulatorDep,
    profile: KeyedBankDep,
    hang_up: HangUpDep,
    traceparent: Annotated[str | None, Header()] = None,
) -> PayoutAnswer:
    """Pay out of the nodal account: 200 done, 202 under way, 4xx refused for good."""
    answer = await answer_payout(simulator, profile, asked, hang_up, traceparent)
    response.status_code = 202 if answer.status == "PROCESSING" else 200
    return answer


@router.get("/transfers/{reference}")
async def enquire_about_payout(reference: PathText, simulator: SimulatorDep, profile: KeyedBankDep) -> PayoutAnswer:
    """The state of a payout; 404 when the bank accepted none under this reference."""
    await simulator.delay_or_fail(profile.code, "enquiry")
    with simulator.database.transaction() as connection:
        return payouts.enquire(connection, profile.code, reference)
