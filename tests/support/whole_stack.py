"""People, a shop, a bank and a proof on a whole running stack, whose hours of waiting are moments.

A test module that uses these fixtures provides the fixture `stack`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.demo import actors
from infra.demo.actors import Holder, SimulatedBank
from infra.local.secrets import read_secrets
from infra.local.stack import Stack
from tests.support.deadlines import deadline
from tests.support.service_limits import service_limits

CHECKOUT = Path(__file__).parents[2]
actors.TIMEOUT_SECONDS = deadline(actors.TIMEOUT_SECONDS)
SLOW = service_limits() | {"BATUA_READY_SECONDS": f"{deadline(60):.0f}", "BATUA_PROCESSES": "2"}
"""The processes of a stack wait as long for each other as this machine needs. Two share each port, on any machine."""
FAST = SLOW | {
    "BATUA_BCRYPT_ROUNDS": "4",
    "BATUA_RATE_LIMITS__ENABLED": "false",
    "BATUA_WELCOME_BALANCE_PAISE": str(1000_00),
    "BATUA_WITHDRAWALS__BANK_TIMEOUT_SECONDS": f"{deadline(1):.2f}",
    "BATUA_WITHDRAWALS__LEASE_SECONDS": f"{deadline(3):.2f}",
    "BATUA_WITHDRAWALS__RETRY_BASE_SECONDS": "0.1",
    "BATUA_WITHDRAWALS__RETRY_CAP_SECONDS": "1",
    "BATUA_WITHDRAWALS__NOT_FOUND_GRACE_SECONDS": f"{deadline(1.5):.2f}",
    "BATUA_WITHDRAWALS__SWEEP_SECONDS": "0.5",
}


@pytest.fixture
def bank(stack: Stack) -> Iterator[SimulatedBank]:
    """HDFC, behaving when the test begins and again when it is over."""
    api_key = read_secrets(stack.layout.secrets_file)["BATUA_BANK_HDFC_API_KEY"]
    simulated = SimulatedBank(f"{stack.url('dummy_bank')}/hdfc", api_key)
    simulated.misbehave()
    yield simulated
    simulated.misbehave()
    simulated.close()


@pytest.fixture
def person(stack: Stack) -> Iterator[Callable[..., Holder]]:
    """Makes people who signed up and hold ₹1,000."""
    made: list[Holder] = []

    def sign_up(first_name: str = "Asha", last_name: str = "Rao") -> Holder:
        made.append(Holder(stack.url("user_app"), first_name=first_name, last_name=last_name))
        return made[-1]

    yield sign_up
    for holder in made:
        holder.close()


@pytest.fixture
def asha(person: Callable[..., Holder]) -> Holder:
    """A person with ₹1,000."""
    return person()


@pytest.fixture
def shop(stack: Stack) -> Iterator[Holder]:
    """A shop with nothing in it yet."""
    holder = Holder(stack.url("merchant_app"), business_name="Chai Point", category="food")
    yield holder
    holder.close()


@pytest.fixture
def prove(stack: Stack) -> Callable[[], None]:
    """Fails unless the books are right and agree with both banks."""

    def run() -> None:
        command = [sys.executable, "-m", "infra.cli.main", "prove"]
        proof = subprocess.run(
            command,
            cwd=CHECKOUT,
            env=stack.environment(),
            capture_output=True,
            text=True,
            timeout=deadline(60),
            check=False,
        )
        assert proof.returncode == 0, proof.stdout + proof.stderr

    return run
