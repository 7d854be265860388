"""People, a shop, a bank and a proof on a whole running stack, whose hours of waiting are moments.

A test module that uses these fixtures provides the fixture `stack`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

from infra.cli.main import app
from infra.demo import actors
from infra.demo.actors import Holder, SimulatedBank
from infra.local.secrets import read_secrets
from infra.local.stack import Stack
from tests.support.deadlines import deadline
from tests.support.service_limits import service_limits
from tests.support.shared_stacks import shared_stack

actors.TIMEOUT_SECONDS = deadline(actors.TIMEOUT_SECONDS)
SLOW = service_limits() | {
    "BATUA_READY_SECONDS": f"{deadline(60):.0f}",
    "BATUA_PROCESSES": "2",
    "DUMMY_BANK_WEBHOOK_TIMEOUT_SECONDS": f"{deadline(5):.2f}",
}
"""The processes of a stack wait as long for each other as this machine needs. Two share each port, on any machine."""
URGENT = SLOW | {"BATUA_GIVE_WAY": "0"}
"""Tests wait for the worker and for the bank, too, while other tests take all that those leave."""
FAST = URGENT | {
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


@pytest.fixture(scope="module")
def battered_stack(tmp_path_factory: pytest.TempPathFactory, free_port_base: Callable[[], int]) -> Stack:
    """A whole stack for those who kill its processes, and for the fuzzer, who sets faults as it comes."""
    settings = URGENT | {"BATUA_BCRYPT_ROUNDS": "4", "BATUA_RATE_LIMITS__ENABLED": "false"}
    return shared_stack("battered", settings, tmp_path_factory, free_port_base)


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
        # In a thread, because a loop may run in this one; in this process, because a new one takes seconds to begin.
        with ThreadPoolExecutor(1) as apart:
            proof = apart.submit(CliRunner().invoke, app, ["prove"], env=stack.environment()).result()
        assert proof.exit_code == 0, proof.output

    return run
