"""What routes ask for: the simulator, the bank the path names, and that the caller holds its key."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Path, Request, Security
from fastapi.security import APIKeyHeader

from services.dummy_bank.errors import BankSaysNo
from services.dummy_bank.settings import BankProfile
from services.dummy_bank.simulator import Simulator
from shared.banks.table import BANKS

_api_key = APIKeyHeader(name="X-Api-Key", auto_error=False)


def the_simulator(request: Request) -> Simulator:
    """The one simulator of this app."""
    simulator: Simulator = request.app.state.simulator
    return simulator


SimulatorDep = Annotated[Simulator, Depends(the_simulator)]


def the_bank(
    simulator: SimulatorDep,
    bank: Annotated[str, Path(max_length=20, json_schema_extra={"enum": list(BANKS)})],
) -> BankProfile:
    """The bank named in the path, or 404."""
    profile = simulator.banks.get(bank)
    if profile is None:
        raise BankSaysNo(404, "BANK_NOT_FOUND", "There is no such bank here.")
    return profile


BankDep = Annotated[BankProfile, Depends(the_bank)]


def the_bank_with_its_key(profile: BankDep, given: Annotated[str | None, Security(_api_key)] = None) -> BankProfile:
    """The bank named in the path, for a caller who holds its API key; else 401."""
    key = profile.api_key.get_secret_value()
    if given is None or not hmac.compare_digest(given.encode(), key.encode()):
        challenge = {"WWW-Authenticate": 'ApiKey header="X-Api-Key"'}
        raise BankSaysNo(401, "API_KEY_INVALID", "X-Api-Key is missing or wrong.", challenge)
    return profile


KeyedBankDep = Annotated[BankProfile, Depends(the_bank_with_its_key)]


def caller_gone(request: Request) -> Callable[[], Coroutine[Any, Any, None]]:
    """Something to wait for that ends when the caller hangs up; the body must have been read."""

    async def until_gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return until_gone


CallerGoneDep = Annotated[Callable[[], Coroutine[Any, Any, None]], Depends(caller_gone)]
