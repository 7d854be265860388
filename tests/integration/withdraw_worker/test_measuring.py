"""What the worker finds out for the metrics, on real books."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from sqlalchemy import text

from services.withdraw_worker import measuring as measuring_module
from services.withdraw_worker import questions
from services.withdraw_worker.figures import Figures, Reading
from services.withdraw_worker.measuring import SHOWN_PACES, Measuring
from services.withdraw_worker.questions import FIGURES
from shared import clock
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.ledger import freezing
from shared.tasks.names import QUEUE
from tests.support.bank_flows import create_withdrawal
from tests.support.deadlines import deadline
from tests.support.factories import create_merchant, create_user

PACE = 15.0


class Shown:
    """The figures as Prometheus reads them."""

    def __init__(self) -> None:
        self.figures = Figures(FIGURES)
        self._registry = CollectorRegistry()
        self._registry.register(self.figures)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self._registry.get_sample_value(name, labels)


@pytest.fixture
def shown() -> Shown:
    return Shown()


async def test_balances_by_kind_and_what_is_held_add_up(fresh_sessionmaker: SessionMaker, shown: Shown) -> None:
    async with fresh_sessionmaker.begin() as session:
        wallet = await create_user(session, balance=500_00)
        await create_merchant(session, balance=70_00)
        await create_withdrawal(session, wallet, 120_00, status="queued")
    measuring = Measuring(fresh_sessionmaker, {}, shown.figures)
    assert await measuring.look_at_balances(PACE) >= PACE
    assert shown("batua_balance_paise", kind="wallet", account="") == 500_00
    assert shown("batua_balance_paise", kind="merchant", account="") == 70_00
    assert shown("batua_held_paise") == 120_00
    assert shown("batua_balances_sum_paise") == 0
    assert shown("batua_accounts", kind="wallet") == 1
    async with fresh_sessionmaker.begin() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text("UPDATE accounts SET balance = balance + 1 WHERE id = :id"), {"id": wallet.id})
    await measuring.look_at_balances(PACE)
    assert shown("batua_balances_sum_paise") == 1


async def test_balances_are_shown_until_the_next_look_is_over_however_seldom_they_are_added_up(
    fresh_sessionmaker: SessionMaker, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring_module, "REST", 1e6)  # as if it had taken long
    pause_seconds = await Measuring(fresh_sessionmaker, {}, shown.figures).look_at_balances(PACE)
    assert pause_seconds > SHOWN_PACES * questions.BALANCES_SECONDS
    next_look = clock.now() + timedelta(seconds=pause_seconds)
    with clock.reading(lambda: next_look):
        assert shown("batua_balances_sum_paise") == 0


async def test_a_withdrawal_that_its_own_owner_holds_up_does_not_wait_for_a_worker(
    fresh_sessionmaker: SessionMaker, shown: Shown
) -> None:
    async with fresh_sessionmaker.begin() as session:
        wallet = await create_user(session, balance=500_00)
        await create_withdrawal(session, wallet, 1_00, status="needs_review")
        await create_withdrawal(session, wallet, 1_00, status="queued")
    measuring = Measuring(fresh_sessionmaker, {}, shown.figures)
    await measuring.look(PACE)
    assert shown("batua_withdrawals_unfinished", bank="hdfc", status="needs_review") == 1
    assert shown("batua_withdrawals_unfinished", bank="hdfc", status="queued") == 1
    assert shown("batua_withdrawal_oldest_seconds", bank="hdfc", status="queued") == 0
    async with fresh_sessionmaker.begin() as session:
        frozen = await create_user(session, balance=500_00)
        await create_withdrawal(session, frozen, 1_00, status="queued")
        assert frozen.owner_id is not None
        await freezing.freeze(session, frozen.owner_id)
        await session.execute(text("UPDATE withdrawals SET created_at = created_at - interval '1 hour'"))
    await measuring.look(PACE)
    assert shown("batua_withdrawals_unfinished", bank="hdfc", status="queued") == 2
    assert shown("batua_withdrawal_oldest_seconds", bank="hdfc", status="queued") == 0
    async with fresh_sessionmaker.begin() as session:
        other = await create_user(session, balance=500_00)
        await create_withdrawal(session, other, 1_00, status="queued")
        await session.execute(text("UPDATE withdrawals SET created_at = created_at - interval '10 minutes'"))
    await measuring.look(PACE)
    oldest = shown("batua_withdrawal_oldest_seconds", bank="hdfc", status="queued")
    assert oldest is not None
    assert 600 <= oldest < 600 + deadline()
    assert shown("batua_withdrawals_unfinished", bank="axis", status="queued") == 0


async def test_an_age_grows_between_two_looks_and_an_answer_that_is_not_renewed_goes(shown: Shown) -> None:
    since = clock.now() - timedelta(seconds=100)
    figure = next(figure for figure in FIGURES if figure.name == "batua_last_seal_age_seconds")
    shown.figures.show("seal", [Reading(figure, since)], until=since + timedelta(seconds=160))
    for seconds, expected in ((100, 100), (150, 150), (161, None)):
        at = since + timedelta(seconds=seconds)
        with clock.reading(lambda at=at: at):  # type: ignore[misc]
            assert shown(figure.name) == expected


async def test_a_database_that_is_away_takes_its_figures_with_it(shown: Shown) -> None:
    nowhere = DatabaseSettings(database_url="postgresql://no_role@127.0.0.1:1/none")
    engine = create_engine(nowhere, application_name="tests")
    await Measuring(create_sessionmaker(engine), {}, shown.figures).look(PACE)
    assert shown("batua_postgres_up") == 0
    assert shown("batua_last_proof_ok") is None
    await engine.dispose()


async def test_one_question_that_fails_leaves_the_others(
    fresh_sessionmaker: SessionMaker, shown: Shown, caplog: pytest.LogCaptureFixture
) -> None:
    async with fresh_sessionmaker.begin() as session:
        await session.execute(text("DROP TABLE bank_circuits"))
    await Measuring(fresh_sessionmaker, {}, shown.figures).look(PACE)
    assert "the metrics lack what is known of banks" in caplog.text
    assert shown("batua_postgres_up") == shown("batua_last_proof_ok") == 1
    assert shown("batua_bank_circuit_open", bank="hdfc") is None
    later = clock.now() + timedelta(seconds=PACE * SHOWN_PACES + 1)
    with clock.reading(lambda: later):
        assert shown("batua_last_proof_ok") is None


async def test_keys_and_messages_of_redis_are_counted_and_one_that_is_away_is_shown(
    fresh_sessionmaker: SessionMaker, redis: Redis, shown: Shown
) -> None:
    await redis.set("a", "1")
    await redis.lpush(QUEUE, "one", "two")
    away = Redis.from_url("redis://127.0.0.1:1/0")
    await Measuring(fresh_sessionmaker, {"broker": redis, "cache": away}, shown.figures).look(PACE)
    assert shown("batua_redis_up", server="broker") == 1
    assert shown("batua_redis_keys", server="broker") == 2
    assert shown("batua_broker_messages") == 2
    assert (shown("batua_redis_memory_bytes", server="broker") or 0) > 0
    assert shown("batua_redis_up", server="cache") == 0
    assert shown("batua_redis_keys", server="cache") is None
    await away.aclose()
