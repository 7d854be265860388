"""`batua recovery` as an operator runs it: what it says is what it did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared import clock
from shared.banks.table import BANKS
from shared.clock import rfc3339
from shared.ids import new_id
from shared.recovery import commands
from tests.integration.operators.conftest import run_batua
from tests.support.bank_settings import NOWHERE
from tests.support.simulated_bank import KEYS, Running
from tests.support.withdrawal_world import World, owner_of


def banks_at(monkeypatch: pytest.MonkeyPatch, urls: Mapping[str, str]) -> None:
    """What the command reads of the banks."""
    for code, url in urls.items():
        monkeypatch.setenv(f"BATUA_BANK_{code.upper()}_URL", f"{url}/{code}")
        monkeypatch.setenv(f"BATUA_BANK_{code.upper()}_API_KEY", KEYS[code])


async def test_a_program_reads_one_object_of_each_step(
    world_alone: World,
    running_bank: Running,
    fresh_database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(*arguments: str) -> dict[str, Any]:
        result = await run_batua(fresh_database_url, tmp_path, "recovery", *arguments, "--json")
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.stdout))

    banks_at(monkeypatch, dict.fromkeys(BANKS, running_bank.url))
    wallet, reference = await world_alone.person(), new_id()
    moment = rfc3339(clock.now(), "auto")
    assert await answer("begin", "--restored-to", moment) == {"restored_to": moment, "marked": 0}
    world_alone.bank.decide(world_alone.bank.open_session(str(reference), 250_00, user_id=str(owner_of(wallet))))
    lacking = (await answer("settle", "--dry-run"))["lacking"]
    paid_in = [{"direction": "CREDIT", "amount": 250_00}]
    assert lacking == {code: {} for code in BANKS} | {"hdfc": {str(reference): paid_in}}
    settled = {report["bank"]: report["settled"] for report in (await answer("settle"))["banks"]}
    (of_hdfc,) = settled.pop("hdfc")
    assert (of_hdfc["result"], of_hdfc["owner_id"]) == ("credited", str(owner_of(wallet)))
    assert settled == {code: [] for code in BANKS if code != "hdfc"}
    assert await answer("finish") == {"restored_to": moment}


async def test_a_bank_that_is_away_takes_nothing_back_of_what_another_settled(
    world_alone: World,
    running_bank: Running,
    fresh_database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, *others = BANKS
    banks_at(monkeypatch, {first: running_bank.url} | dict.fromkeys(others, NOWHERE))
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
