"""`batua find` with the id of a trace, as an operator has it from a log line, a problem or a collector."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import smallest_id
from shared.models import Account, OnRamp
from tests.integration.operators.conftest import Operator
from tests.support.bank_flows import create_withdrawal
from tests.support.bank_notices import create_on_ramp

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "0af7651916cd43dd8448eb211c80319c"


def _traceparent(trace_id: str) -> str:
    return f"00-{trace_id}-00f067aa0ba902b7-01"


async def _withdrawal(sessionmaker: SessionMaker, alice: Account, trace_id: str | None) -> str:
    async with sessionmaker.begin() as session:
        withdrawal = await create_withdrawal(session, alice, 10_00, status="queued")
        withdrawal.traceparent = None if trace_id is None else _traceparent(trace_id)
        return str(withdrawal.id)


async def _on_ramp(sessionmaker: SessionMaker, alice: Account, trace_id: str) -> str:
    async with sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, alice)
        on_ramp.traceparent = _traceparent(trace_id)
        return str(on_ramp.id)


async def _make_old(sessionmaker: SessionMaker, on_ramp_id: str, days: int) -> str:
    """The on-ramp was asked for so many days ago. Its new id."""
    old_id = smallest_id(clock.now() - timedelta(days=days))
    async with sessionmaker.begin() as session:
        await session.execute(update(OnRamp).where(OnRamp.id == UUID(on_ramp_id)).values(id=old_id))
    return str(old_id)


async def test_a_trace_leads_to_the_withdrawal_and_the_on_ramp_that_carry_it(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    withdrawal = await _withdrawal(fresh_sessionmaker, alice, TRACE)
    on_ramp = await _on_ramp(fresh_sessionmaker, alice, TRACE)
    other = await _on_ramp(fresh_sessionmaker, alice, OTHER)
    await _withdrawal(fresh_sessionmaker, alice, None)
    for name in (TRACE, TRACE.upper(), _traceparent(TRACE)):
        found = (await asha.answer("find", name))["found"]
        assert [(each["type"], each["id"]) for each in found] == [("withdrawal", withdrawal), ("on_ramp", on_ramp)]
        assert {each["trace_id"] for each in found} == {TRACE}
    shown = (await asha.run("find", OTHER)).output
    assert other in shown
    assert "A transfer carries no trace" in shown


async def test_a_row_shows_its_trace_to_who_finds_it_by_its_id(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    for row in (await _withdrawal(fresh_sessionmaker, alice, TRACE), await _on_ramp(fresh_sessionmaker, alice, TRACE)):
        answer = await asha.answer("find", row)
        assert answer.keys() == {"found"}
        assert answer["found"][0]["trace_id"] == TRACE


async def test_a_trace_is_looked_for_since_a_moment_that_is_said(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    old = await _make_old(fresh_sessionmaker, await _on_ramp(fresh_sessionmaker, alice, TRACE), days=31)
    nothing = await asha.run("find", TRACE)
    assert nothing.exit_code == 1
    assert f"Nothing is known as {TRACE}. UTRs, references of banks, requests and traces were looked for since" in (
        nothing.output
    )
    since = (clock.now() - timedelta(days=32)).replace(hour=0, minute=0, second=0)
    answer = await asha.answer("find", TRACE, "--since", f"{since:%Y-%m-%d}")
    assert [each["id"] for each in answer["found"]] == [old]
    assert answer["since"].startswith(f"{since:%Y-%m-%d}T00:00:00")
    as_json = await asha.run("find", OTHER, "--since", f"{since:%Y-%m-%d}", "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)["found"]) == (1, [])


async def test_a_reference_is_looked_for_in_the_whole_table_unless_a_moment_is_given(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    old = await _make_old(fresh_sessionmaker, await _on_ramp(fresh_sessionmaker, alice, TRACE), days=400)
    async with fresh_sessionmaker.begin() as session:
        await session.execute(update(OnRamp).values(bank_reference="REF42"))
    assert [each["id"] for each in (await asha.answer("find", "REF42"))["found"]] == [old]
    since = f"{clock.now() - timedelta(days=2):%Y-%m-%d}"
    nothing = await asha.run("find", "REF42", "--since", since)
    assert (nothing.exit_code, f"were looked for since {since} 00:00:00 UTC" in nothing.output) == (1, True)


async def test_an_id_of_ours_without_its_hyphens_is_found_as_before(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    on_ramp = await _on_ramp(fresh_sessionmaker, alice, TRACE)
    assert [each["id"] for each in (await asha.answer("find", UUID(on_ramp).hex))["found"]] == [on_ramp]
