"""The worker proves the books on its own; while the proof fails nothing is paid out, and the operator is told once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select, text, update

from services.withdraw_worker import proving
from services.withdraw_worker.housekeeping import purge_proofs
from services.withdraw_worker.measuring import Measuring
from services.withdraw_worker.proving import prove_all_if_due, prove_new_if_due
from shared import clock
from shared.db.engine import SessionMaker
from shared.models import Account, OutboxMessage, ProofRun, Withdrawal
from shared.outbox.settings import MailSettings
from shared.proof import runs
from shared.proof.prove import CheckResult, ProofReport
from tests.support.bank_flows import create_withdrawal
from tests.support.factories import create_user
from tests.support.withdrawal_world import PATIENT, engine_on

SETTINGS = MailSettings(smtp_host="127.0.0.1", smtp_port=1, operator_email="operator@batua.example")
NIGHT = datetime(2026, 3, 2, proving.WHOLE_HOUR, proving.WHOLE_MINUTE + 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "QUICK_EVERY", timedelta(0))


@pytest.fixture
async def bob(fresh_sessionmaker: SessionMaker) -> Account:
    """He has asked for a payout."""
    async with fresh_sessionmaker.begin() as session:
        wallet = await create_user(session, balance=10_000)
        await create_withdrawal(session, wallet, 60, status="queued")
    return wallet


async def damage(sessionmaker: SessionMaker, wallet: Account, by: int) -> None:
    async with sessionmaker.begin() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        statement = text("UPDATE entries SET balance_after = balance_after + :by WHERE account_id = :id AND seq = 1")
        await session.execute(statement, {"by": by, "id": wallet.id})


async def results(sessionmaker: SessionMaker) -> list[tuple[str, str | None]]:
    async with sessionmaker() as session:
        rows = await session.execute(select(ProofRun.kind, ProofRun.result).order_by(ProofRun.started_at))
        return [(row.kind, row.result) for row in rows]


async def claimed(sessionmaker: SessionMaker) -> int:
    """How many payouts a worker would send now."""
    endpoint: Any = None
    engine = engine_on(sessionmaker, {"hdfc": endpoint, "axis": endpoint}, PATIENT)
    return len((await engine.claim({"hdfc": 5, "axis": 5})).calls)


async def shown(sessionmaker: SessionMaker, name: str, **labels: str) -> float | None:
    await Measuring(sessionmaker, {}).look(60)
    return REGISTRY.get_sample_value(name, labels)


async def alerts(sessionmaker: SessionMaker) -> list[dict[str, Any]]:
    async with sessionmaker() as session:
        statement = select(OutboxMessage.facts).where(OutboxMessage.kind == "proof_failed").order_by(OutboxMessage.id)
        return list(await session.scalars(statement))


async def test_while_the_proof_fails_no_payout_leaves_and_one_mail_tells_of_it(
    fresh_sessionmaker: SessionMaker, bob: Account, caplog: pytest.LogCaptureFixture
) -> None:
    await damage(fresh_sessionmaker, bob, 1)
    for _ in range(3):
        await prove_new_if_due(fresh_sessionmaker, SETTINGS)
    assert await results(fresh_sessionmaker) == [("quick", "failed")] * 3
    assert "every new entry follows the one before it" in caplog.text
    assert str(bob.id) in caplog.text
    assert "no payout leaves" in caplog.text
    assert await shown(fresh_sessionmaker, "batua_last_proof_ok") == 0
    (alert,) = await alerts(fresh_sessionmaker)
    assert "every new entry follows the one before it" in alert["rules"]

    async with fresh_sessionmaker() as session:
        beginning = await runs.beginning(session)
    assert beginning.transfers_after.int == 0, "what failed is checked again"
    assert bob.id in beginning.named

    assert await claimed(fresh_sessionmaker) == 0
    async with fresh_sessionmaker() as session:
        withdrawal = (await session.scalars(select(Withdrawal))).one()
        assert (withdrawal.status, withdrawal.attempts) == ("queued", 0)
        assert (await session.get_one(Account, bob.id)).held == 60

    await damage(fresh_sessionmaker, bob, -1)
    await prove_new_if_due(fresh_sessionmaker, SETTINGS)
    assert await shown(fresh_sessionmaker, "batua_last_proof_ok") == 1
    assert (await shown(fresh_sessionmaker, "batua_last_proof_age_seconds", kind="quick") or -1) >= 0
    assert await claimed(fresh_sessionmaker) == 1
    assert len(await alerts(fresh_sessionmaker)) == 1


async def test_a_bank_that_may_have_a_payout_is_still_asked_about_it(
    fresh_sessionmaker: SessionMaker, bob: Account
) -> None:
    await damage(fresh_sessionmaker, bob, 1)
    await prove_new_if_due(fresh_sessionmaker, SETTINGS)
    for status, calls in (("waiting", 0), ("unknown", 1)):
        async with fresh_sessionmaker.begin() as session:
            await session.execute(update(Withdrawal).values(status=status, active_since=clock.now()))
        assert await claimed(fresh_sessionmaker) == calls, status


async def test_a_quick_run_does_not_settle_what_a_whole_run_found(
    fresh_sessionmaker: SessionMaker, bob: Account
) -> None:
    await prove_new_if_due(fresh_sessionmaker, SETTINGS)
    await fails_whole(fresh_sessionmaker)
    await prove_new_if_due(fresh_sessionmaker, SETTINGS)
    assert await results(fresh_sessionmaker) == [("quick", "passed"), ("whole", "failed"), ("quick", "passed")]
    assert await claimed(fresh_sessionmaker) == 0
    await passes_whole(fresh_sessionmaker)
    assert await claimed(fresh_sessionmaker) == 1


async def fails_whole(sessionmaker: SessionMaker, *banks: str) -> None:
    report = ProofReport([CheckResult("a rule", [{"row": 1}])], explained={bank: [] for bank in banks})
    await runs.finish_whole(sessionmaker, await runs.begin(sessionmaker, "whole"), report)


async def passes_whole(sessionmaker: SessionMaker, *banks: str) -> None:
    report = ProofReport(explained={bank: [] for bank in banks})
    await runs.finish_whole(sessionmaker, await runs.begin(sessionmaker, "whole"), report)


async def stands(sessionmaker: SessionMaker) -> bool:
    async with sessionmaker() as session:
        return bool(await runs.standing(session))


async def test_a_failure_is_settled_by_a_later_run_that_compares_the_same_banks(
    fresh_sessionmaker: SessionMaker,
) -> None:
    early = await runs.begin(fresh_sessionmaker, "whole")
    await fails_whole(fresh_sessionmaker, "hdfc")
    await runs.finish_whole(fresh_sessionmaker, early, ProofReport(explained={"hdfc": []}))
    assert await stands(fresh_sessionmaker)
    for banks in ((), ("axis",)):
        await passes_whole(fresh_sessionmaker, *banks)
        assert await stands(fresh_sessionmaker)
    await passes_whole(fresh_sessionmaker, "axis", "hdfc")
    assert not await stands(fresh_sessionmaker)


async def test_a_run_whose_process_died_counts_as_neither_and_is_made_again(
    fresh_sessionmaker: SessionMaker, bob: Account
) -> None:
    await runs.begin(fresh_sessionmaker, "quick")
    assert await claimed(fresh_sessionmaker) == 1
    await prove_new_if_due(fresh_sessionmaker, SETTINGS)
    assert await results(fresh_sessionmaker) == [("quick", None), ("quick", "passed")]


async def test_one_run_of_a_kind_is_made_at_a_time(fresh_sessionmaker: SessionMaker) -> None:
    async with runs.alone(fresh_sessionmaker, "quick") as is_alone:
        assert is_alone
        await prove_new_if_due(fresh_sessionmaker, SETTINGS)
        assert await results(fresh_sessionmaker) == []
    await asyncio.gather(*(prove_new_if_due(fresh_sessionmaker, SETTINGS) for _ in range(2)))
    assert ("quick", "passed") in await results(fresh_sessionmaker)


async def test_the_whole_proof_is_made_once_a_night_and_tried_three_times(
    fresh_sessionmaker: SessionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NIGHT)
    assert proving.is_night()
    for _ in range(2):
        await runs.begin(fresh_sessionmaker, "whole")  # and its process dies
    for _ in range(2):
        await prove_all_if_due(fresh_sessionmaker)
    assert sorted(await results(fresh_sessionmaker), key=str) == [("whole", "passed"), *[("whole", None)] * 2]
    next_night = NIGHT + timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda: next_night)
    for _ in range(proving.WHOLE_TRIES):
        await runs.begin(fresh_sessionmaker, "whole")
    await prove_all_if_due(fresh_sessionmaker)
    assert len(await results(fresh_sessionmaker)) == 3 + proving.WHOLE_TRIES
    monkeypatch.setattr(clock, "now", lambda: NIGHT + proving.WHOLE_MAY_BEGIN_FOR)
    assert not proving.is_night()


async def test_old_runs_are_deleted_but_for_a_failure_that_stands(fresh_sessionmaker: SessionMaker) -> None:
    await passes_whole(fresh_sessionmaker)
    await fails_whole(fresh_sessionmaker)
    async with fresh_sessionmaker.begin() as session:
        await session.execute(update(ProofRun).values(started_at=clock.now() - runs.KEPT_FOR - timedelta(hours=1)))
    assert await purge_proofs(fresh_sessionmaker) == 1
    assert await stands(fresh_sessionmaker)
