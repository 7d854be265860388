"""`batua seed` writes books that prove, with correct reports; a second run adds nothing."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner, Result

from infra.cli.main import app
from infra.seed import banking, simulated_banks
from infra.seed import plan as planning
from infra.seed.cast import PASSWORD, PEOPLE, PIN, SHOPS
from services.dummy_bank.settings import BankSimulatorSettings
from shared import clock
from shared.auth.registration import Credentials, register_person
from shared.calendar import INDIA
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.inflow import queries
from shared.inflow.commands import roll_up_all
from shared.ledger.errors import InsufficientFunds
from shared.models import Account, Entry, OutboxMessage, Owner, Transfer
from shared.proof.prove import prove
from tests.support.apps import API, running, user_app_settings
from tests.support.number_keys import NUMBER_KEY
from tests.support.peppers import PEPPER
from tests.support.simulated_bank import KEYS, WEBHOOK_SECRET, run_app

Run = Callable[..., Result]
EVENING = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # 21:00 in India


@pytest.fixture(autouse=True)
def evening() -> Iterator[datetime]:
    """Hold the clock: the plan depends on the day, through weekends and the hour at which it ends."""
    with clock.reading(lambda: EVENING):
        yield EVENING


@pytest.fixture
def run(fresh_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("BATUA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BATUA_DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("BATUA_PIN_PEPPER", PEPPER)
    monkeypatch.setenv("BATUA_ACCOUNT_NUMBER_KEYS", NUMBER_KEY)
    monkeypatch.setenv("BATUA_BCRYPT_ROUNDS", "4")
    monkeypatch.setenv("COLUMNS", "200")
    for bank in ("HDFC", "AXIS"):
        monkeypatch.delenv(f"BATUA_BANK_{bank}_URL", raising=False)
    return lambda *options: CliRunner().invoke(app, ["seed", *options])


@asynccontextmanager
async def database(url: str) -> AsyncIterator[SessionMaker]:
    engine = create_engine(DatabaseSettings(database_url=url), application_name="tests")
    yield create_sessionmaker(engine)
    await engine.dispose()


async def counts(sessionmaker: SessionMaker) -> list[int]:
    async with sessionmaker() as session:
        return [
            await session.scalar(select(func.count()).select_from(model)) or 0
            for model in (Owner, Account, Transfer, Entry, OutboxMessage)
        ]


async def check_books(url: str, opened_after: date) -> None:
    async with database(url) as sessionmaker:
        await roll_up_all(sessionmaker)
        report = await prove(sessionmaker)
        assert report.ok, report.failed
        async with sessionmaker() as session:
            rows = (await session.execute(select(Entry.created_at).order_by(Entry.account_id, Entry.seq))).scalars()
            moments = list(rows)
            assert opened_after <= min(moments).date()
            assert max(moments) <= clock.now()
            previous = func.lag(Entry.created_at).over(partition_by=Entry.account_id, order_by=Entry.seq)
            steps = select((Entry.created_at < previous).label("goes_back")).subquery()
            assert not await session.scalar(select(func.count()).where(steps.c.goes_back))
            for shop in SHOPS:
                await check_days(session, shop.email)


async def check_days(session: AsyncSession, email: str) -> None:
    """The report of each day equals the payments of that day."""
    merchant_id = (await session.execute(select(Owner.id).where(Owner.email == email))).scalar_one()
    account = select(Account.id).where(Account.owner_id == merchant_id).scalar_subquery()
    paid = select(Transfer.created_at, Transfer.amount).where(
        Transfer.credit_account_id == account, Transfer.kind == "payment"
    )
    by_day: Counter[date] = Counter()
    for at, amount in await session.execute(paid):
        by_day[at.astimezone(INDIA).date()] += amount
    last = clock.now().astimezone(INDIA).date()
    daily = await queries.daily(session, merchant_id, first=last - timedelta(days=planning.DAYS), last=last)
    assert {day: inflow.amount for day, inflow in daily.items if inflow.count} == by_day
    assert len(by_day) >= planning.DAYS
    assert (await queries.summary(session, merchant_id)).today.count > 0 or last not in by_day


async def sign_in(url: str, redis_url: str) -> None:
    async with running(user_app_settings(url, redis_url)) as user_app:
        for person in PEOPLE:
            answer = await user_app.client.post(f"{API}/auth/login", json={"email": person.email, "password": PASSWORD})
            assert answer.status_code == httpx.codes.OK, answer.text


def test_seeded_books_prove_and_a_second_run_adds_nothing(run: Run, fresh_database_url: str, redis_url: str) -> None:
    opened_after = (clock.now() - timedelta(days=planning.DAYS)).date()

    async def counted() -> list[int]:
        async with database(fresh_database_url) as sessionmaker:
            return await counts(sessionmaker)

    first = run()
    assert first.exit_code == 0, first.output
    assert all(who.email in first.output for who in (*PEOPLE, *SHOPS))
    assert PASSWORD in first.output
    assert PIN in first.output
    asyncio.run(check_books(fresh_database_url, opened_after))
    asyncio.run(sign_in(fresh_database_url, redis_url))

    before = asyncio.run(counted())
    second = run()
    assert second.exit_code == 0, second.output
    assert "nothing was added" in second.output
    assert asyncio.run(counted()) == before
    logins = first.output[first.output.index("Sign in at") :]
    assert second.output.endswith(logins)
    for_a_program = run("--json")
    answer = json.loads(for_a_program.stdout)
    assert "nothing was added" in for_a_program.stderr
    assert (answer["password"], answer["pin"]) == (PASSWORD, PIN)
    assert [each["email"] for each in answer["people"] + answer["shops"]] == [who.email for who in (*PEOPLE, *SHOPS)]
    assert all(each["wallet_id"] in logins for each in answer["people"] + answer["shops"])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan twelve days instead of ninety: enough for the tests of failures, and faster."""
    monkeypatch.setattr(planning, "DAYS", 12)


def test_it_happens_whole_or_not_at_all(
    run: Run, short: None, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(banking, "income", lambda spent: spent // 2)  # less than they spend, so one runs out of money

    async def owners() -> int:
        async with database(fresh_database_url) as sessionmaker:
            return (await counts(sessionmaker))[0]

    assert isinstance(run().exception, InsufficientFunds)
    assert asyncio.run(owners()) == 0


@pytest.fixture
def banks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both simulated banks, configured for `batua`; their notices go nowhere."""
    facts = {f"{bank}_api_key": SecretStr(KEYS[bank]) for bank in KEYS}
    facts |= {f"{bank}_webhook_secret": SecretStr(WEBHOOK_SECRET) for bank in KEYS}
    nowhere = {f"{bank}_webhook_url": "http://127.0.0.1:9" for bank in KEYS}
    settings = BankSimulatorSettings.model_validate(
        {"database": tmp_path / "bank.sqlite", "public_url": "http://bank.test"} | facts | nowhere
    )
    simulator = run_app(settings)
    for bank, key in KEYS.items():
        monkeypatch.setenv(f"BATUA_BANK_{bank.upper()}_URL", f"{simulator.url}/{bank}")
        monkeypatch.setenv(f"BATUA_BANK_{bank.upper()}_API_KEY", key)
    yield simulator.url
    simulator.stop()


def test_the_banks_own_statements_agree_with_the_seeded_books(run: Run, short: None, banks: str) -> None:
    assert run().exit_code == 0
    proof = CliRunner().invoke(app, ["prove"])
    assert proof.exit_code == 0, proof.output
    for bank in KEYS:
        arguments = ["reconcile", "--bank", bank, "--since", "2026-08-01", "--grace-seconds", "0"]
        reconciled = CliRunner().invoke(app, arguments)
        assert reconciled.exit_code == 0, reconciled.output
        assert " 0 lines match" not in reconciled.output


def test_what_an_interrupted_run_did_not_tell_the_banks_the_next_one_tells(
    run: Run, short: None, banks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_interrupted(*_: object) -> None:
        raise simulated_banks.BankNotTold("HDFC Bank does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(simulated_banks, "tell", is_interrupted)
        interrupted = run()
    assert interrupted.exit_code == 1
    assert "run `batua seed` again" in interrupted.output
    assert CliRunner().invoke(app, ["prove"]).exit_code == 1
    assert run().exit_code == 0
    assert run().exit_code == 0
    proof = CliRunner().invoke(app, ["prove"])
    assert proof.exit_code == 0, proof.output


def test_without_its_simulated_banks_nothing_is_added(
    run: Run, short: None, banks: str, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def owners() -> int:
        async with database(fresh_database_url) as sessionmaker:
            return (await counts(sessionmaker))[0]

    for address in (f"{banks}/nobank", "http://127.0.0.1:9/axis"):
        monkeypatch.setenv("BATUA_BANK_AXIS_URL", address)
        result = run()
        assert result.exit_code == 1
        assert address in result.output
        assert "nothing was added" in result.output
    assert asyncio.run(owners()) == 0


def test_an_address_that_is_taken_stays_with_its_owner(run: Run, short: None, fresh_database_url: str) -> None:
    async def sign_up() -> None:
        async with database(fresh_database_url) as sessionmaker, sessionmaker.begin() as session:
            credentials = Credentials(email=PEOPLE[0].email, password_hash="!", pin_hash="!")
            await register_person(session, credentials=credentials, first_name="Another", last_name="Asha")

    async def owners() -> int:
        async with database(fresh_database_url) as sessionmaker:
            return (await counts(sessionmaker))[0]

    asyncio.run(sign_up())
    result = run()
    assert result.exit_code == 1
    assert "has signed up with an address" in result.output
    assert asyncio.run(owners()) == 1


def test_production_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATUA_ENV", "production")
    result = run()
    assert result.exit_code == 1
    assert "not for production" in result.output


def test_an_unreachable_database_gives_one_clear_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATUA_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = run()
    assert result.exit_code == 1
    assert "is `make up` running?" in result.output


def test_without_a_stack_it_names_make_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BATUA_DATABASE_URL")
    result = run()
    assert result.exit_code == 1
    assert "make up" in result.output
