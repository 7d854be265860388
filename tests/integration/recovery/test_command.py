"""`batua recovery` as an operator runs it: what it says is what it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared import clock
from shared.banks.table import BANKS
from shared.ids import new_id
from shared.recovery import commands
from tests.integration.operators.conftest import run_batua
from tests.support.bank_settings import NOWHERE
from tests.support.simulated_bank import KEYS, Running
from tests.support.withdrawal_world import World, owner_of


async def test_a_bank_that_is_away_takes_nothing_back_of_what_another_settled(
    world_alone: World,
    running_bank: Running,
    fresh_database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, *others = BANKS
    for code in BANKS:
        monkeypatch.setenv(f"BATUA_BANK_{code.upper()}_URL", f"{running_bank.url if code == first else NOWHERE}/{code}")
        monkeypatch.setenv(f"BATUA_BANK_{code.upper()}_API_KEY", KEYS[code])
    wallet = await world_alone.person(balance=1_000_00)
    async with world_alone.sessionmaker.begin() as session:
        await commands.begin(session, restored_to=clock.now())
    bank = world_alone.consoles[first]
    bank.decide(bank.open_session(str(new_id()), 250_00, user_id=str(owner_of(wallet))))
    settled = await run_batua(fresh_database_url, tmp_path, "recovery", "settle")
    assert settled.exit_code == 2, settled.output
    assert settled.stderr.startswith(f"No statement from {others[0]}: ")
    assert "What was settled before that stays settled." in settled.stderr
    assert await world_alone.money(wallet) == (1_250_00, 0)
