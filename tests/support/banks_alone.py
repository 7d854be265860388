"""The simulated banks without a platform: they answer, and their notices go nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.dummy_bank.main import create_app
from services.dummy_bank.settings import BankSimulatorSettings
from tests.support.bank_notices import SECRETS
from tests.support.bank_settings import simulator_values
from tests.support.serving import listening, serving


@contextmanager
def banks_alone(folder: Path) -> Iterator[str]:
    """Where they answer, with their book in this folder."""
    with listening() as bound:
        settings = BankSimulatorSettings(
            database=folder / "bank.sqlite",
            public_url=f"http://127.0.0.1:{bound.getsockname()[1]}",
            **simulator_values(SECRETS),
        )
        with serving(create_app(settings), bound) as url:
            yield url
