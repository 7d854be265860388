"""What routes depend on: the simulator, the bank in the path, its API key, and the caller's hanging up."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Path, Request, Security
from fastapi.security import APIKeyHeader

from services.dummy_bank.errors import BankError
from services.dummy_bank.payout_call import HangUp
from services.dummy_bank.settings import BankProfile
from services.dummy_bank.simulator import Simulator
from shared.banks.table import BANKS

_api_key = APIKeyHeader(name="X-Api-Key", auto_error=False)


async def current_simulator(request: Request) -> Simulator:
    """The simulator of this app."""
    simulator: Simulator = request.app.state.simulator
    return simulator


SimulatorDep = Annotated[Simulator, Depends(current_simulator)]


async def bank_in_path(
    simulator: SimulatorDep,
    bank: Annotated[str, Path(max_length=20, json_schema_extra={"enum": list(BANKS)})],
) -> BankProfile:
    """The bank named in the path. Raises BankError (404)."""
    profile = simulator.banks.get(bank)
    if profile is None:
        raise BankError(404, "BANK_NOT_FOUND", "There is no such bank here.")
    return profile


BankDep = Annotated[BankProfile, Depends(bank_in_path)]


async def bank_with_key(profile: BankDep, given: Annotated[str | None, Security(_api_key)] = None) -> BankProfile:
    """The bank named in the path, when the caller sent its API key. Raises BankError (404, 401)."""
    key = profile.api_key.get_secret_value()
    if given is None or not hmac.compare_digest(given.encode(), key.encode()):
        challenge = {"WWW-Authenticate": 'ApiKey header="X-Api-Key"'}
        raise BankError(401, "API_KEY_INVALID", "X-Api-Key is missing or wrong.", challenge)
    return profile


KeyedBankDep = Annotated[BankProfile, Depends(bank_with_key)]


async def hang_up(request: Request) -> HangUp:
    """Makes a coroutine that ends when the caller hangs up. The body must have been read before."""

    async def until_disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return until_disconnected


HangUpDep = Annotated[HangUp, Depends(hang_up)]
