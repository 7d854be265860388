"""What people and operators do leaves a line, without a secret, and the line stays as it was written."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy import func, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from infra.cli.main import app as command_line
from infra.postgres.roles import SERVICE_ROLES, grant_service_roles
from services.user_app.settings import UserAppSettings
from services.withdraw_worker.housekeeping import purge_audit
from shared import clock
from shared.audit.kinds import Kind
from shared.audit.trail import Trail, trail
from shared.audit.writing import open_trail, write_due
from shared.config import DatabaseSettings, RateLimits
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.ids import smallest_id
from shared.models import AuditEvent, EmailConfirmation, OutboxMessage
from shared.owner_quotas import OwnerQuotas
from tests.support.access_lines import access_lines
from tests.support.auth_people import PASSWORD, bearing, log_in, running, sign_up
from tests.support.bank_settings import bank_values
from tests.support.number_keys import NUMBER_KEY
from tests.support.peppers import PEPPER

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

CALLER = "127.0.0.1"
ROLE_PASSWORD = "for-tests-only-0123456789"


@pytest.fixture(autouse=True)
def _empty_trail() -> None:
    """Tests before this one, in the same process, have recorded theirs."""
    trail.take(clock.now() + timedelta(hours=1), everything=True)


@pytest.fixture
async def users(fresh_database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[httpx.AsyncClient]:
    settings = UserAppSettings(
        database_url=SecretStr(fresh_database_url),
        redis_url=SecretStr(redis_url),
        token_keys=[SecretStr("newest-key-0123456789")],
        pin_pepper=SecretStr(PEPPER),
        account_number_keys=[SecretStr(NUMBER_KEY)],
        bcrypt_rounds=4,
        refusal_delay_seconds=0,
        rate_limits=RateLimits(login_per_email="3/15minutes"),
        welcome_balance_paise=1_000,
        quotas=OwnerQuotas(keys_per_day=1, open_pots=1, people_searches_per_day=1),
        **bank_values(),
        user_app_url="http://127.0.0.1:1",
    )
    async with running(settings) as client:
        yield client


async def written(sessionmaker: SessionMaker) -> list[AuditEvent]:
    await write_due(sessionmaker, trail, everything=True)
    async with sessionmaker() as session:
        return list(await session.scalars(select(AuditEvent).order_by(AuditEvent.id)))


async def test_signing_in_and_changing_secrets_leaves_lines_without_a_secret(
    users: httpx.AsyncClient, fresh_sessionmaker: SessionMaker
) -> None:
    signed_up = await sign_up(users)
    email, owner_id = signed_up["user"]["email"], signed_up["user"]["id"]
    token = (await log_in(users, email)).json()["token"]
    assert (await log_in(users, "no-one@example.test")).status_code == 401
    for _ in range(5):
        await log_in(users, email, password="a wrong password")
    await users.post("/auth/pin", json={"pin": "9058"}, headers=bearing(token))
    change = {"current_password": PASSWORD, "new_pin": "7391", "new_password": "another long password 7"}
    assert (await users.patch("/users/me", json=change, headers=bearing(token))).status_code == 200
    with access_lines() as lines:
        assert (await users.post("/auth/logout", headers=bearing(token))).status_code == 204
    assert [line["owner_id"] for line in lines] == [owner_id]

    events = await written(fresh_sessionmaker)
    told = {(event.kind, event.what, None if event.owner_id is None else str(event.owner_id)) for event in events}
    assert told == {
        ("signed_up", None, owner_id),
        ("email_confirmation_asked", "sign_up", owner_id),
        ("sign_in_succeeded", None, owner_id),
        ("sign_in_failed", None, None),
        ("sign_in_failed", None, owner_id),
        ("limit_hit", "attempts", owner_id),
        ("pin_wrong", None, owner_id),
        ("pin_changed", None, owner_id),
        ("password_changed", None, owner_id),
        ("session_ended", None, owner_id),
    }
    failed = sum(event.count for event in events if event.kind == "sign_in_failed" and event.owner_id is not None)
    assert failed == 3
    assert all(event.address and event.request_id for event in events)
    everything = str([vars(event) for event in events])
    for secret in (PASSWORD, "a wrong password", "another long", token, email, "no-one@"):
        assert secret not in everything
    for pin in ("9058", "7391"):  # these digits may be a part of an id
        assert not re.search(rf"(?<![\w-]){pin}(?![\w-])", everything)


async def test_a_confirmed_address_leaves_lines_and_a_refused_link_too(
    users: httpx.AsyncClient, fresh_sessionmaker: SessionMaker
) -> None:
    signed_up = await sign_up(users)
    owner_id, own = signed_up["user"]["id"], bearing(signed_up["token"])
    assert (await users.post("/auth/email/resend", headers=own)).status_code == 429
    row = EmailConfirmation
    for answer in ("resend", "correct"):
        async with fresh_sessionmaker.begin() as session:
            await session.execute(update(row).values(sent_at=row.sent_at - timedelta(minutes=2)))
        body = {"email": "asha.right@example.test", "current_password": PASSWORD} if answer == "correct" else None
        assert (await users.post(f"/auth/email/{answer}", json=body, headers=own)).status_code == 204
    async with fresh_sessionmaker() as session:
        newest = select(OutboxMessage.facts).where(OutboxMessage.kind == "confirm_email")
        facts = (await session.scalars(newest.order_by(OutboxMessage.id.desc()))).first()
    assert facts is not None
    token = facts["link"].partition("?token=")[2]
    for status in (204, 404):
        assert (await users.post("/auth/email/confirm", json={"token": token})).status_code == status

    events = await written(fresh_sessionmaker)
    told = {(event.kind, event.what) for event in events if "email" in event.kind or event.kind == "limit_hit"}
    assert told == {
        ("email_confirmation_asked", "sign_up"),
        ("email_confirmation_asked", "again"),
        ("email_confirmation_asked", "corrected"),
        ("email_confirmed", None),
        ("limit_hit", "confirmation_mails"),
    }
    assert {str(event.owner_id) for event in events} == {owner_id}
    assert all(event.address and event.request_id for event in events)
    assert "asha.right" not in str([vars(event) for event in events])


async def test_a_quota_that_was_hit_says_from_where(users: httpx.AsyncClient, fresh_sessionmaker: SessionMaker) -> None:
    asha, bob = await sign_up(users), await sign_up(users)
    own = bearing(asha["token"])
    for _ in range(2):  # a search within the quota, and one beyond it
        await users.get("/users", params={"filter": "bob"}, headers=own)
    for number in range(2):
        await users.post("/accounts", json={"name": f"Trip {number}"}, headers=own)
    body = {"to": bob["user"]["wallet_id"], "amount": 100, "pin": "4812"}
    for number in (0, 1, 0, 0):  # the last two repeat what was done: they hit nothing
        await users.post("/transfers", json=body, headers={**own, "Idempotency-Key": f"{number}"})

    hit = [event for event in await written(fresh_sessionmaker) if event.kind == "limit_hit"]
    assert sorted((event.what, str(event.owner_id), event.address, event.count) for event in hit) == [
        ("keys", asha["user"]["id"], CALLER, 1),
        ("pots", asha["user"]["id"], CALLER, 1),
        ("search-day", asha["user"]["id"], CALLER, 1),
    ]
    assert all(event.request_id for event in hit)


async def test_a_payment_is_logged_with_its_owner(users: httpx.AsyncClient) -> None:
    asha, bob = await sign_up(users), await sign_up(users)
    headers = {**bearing(asha["token"]), "Idempotency-Key": "one"}
    body = {"to": bob["user"]["wallet_id"], "amount": 100, "pin": "4812"}
    with access_lines() as lines:
        await users.post("/transfers", json=body, headers=headers)
    assert [line["owner_id"] for line in lines] == [asha["user"]["id"]]


async def test_a_database_that_is_away_keeps_no_one_out_and_loses_nothing(
    fresh_sessionmaker: SessionMaker, fresh_database_url: str
) -> None:
    url = make_url(fresh_database_url).set(port=1)
    settings = DatabaseSettings(database_url=SecretStr(url.render_as_string(hide_password=False)))
    away, own = create_engine(settings, application_name="test"), Trail()
    own.record(Kind.SIGN_IN_FAILED, address="192.0.2.1")
    with pytest.raises(ConnectionError):
        await write_due(create_sessionmaker(away), own)
    own.record(Kind.SIGN_IN_FAILED, address="192.0.2.1")
    async with open_trail(fresh_sessionmaker, lambda: "a request", trail=own):
        pass  # at its end the rest is written
    async with fresh_sessionmaker() as session:
        assert await session.scalar(select(func.sum(AuditEvent.count))) == 2
    await away.dispose()


async def test_services_only_add_and_nothing_changes_or_goes_within_ninety_days(
    fresh_sessionmaker: SessionMaker, fresh_database_url: str
) -> None:
    await asyncio.to_thread(
        grant_service_roles, fresh_database_url, passwords=dict.fromkeys(SERVICE_ROLES, ROLE_PASSWORD)
    )
    engines = {role: as_role(fresh_database_url, role) for role in ("user_app", "withdraw_worker")}
    apps, worker = (create_sessionmaker(engine) for engine in engines.values())
    own = Trail()
    own.record(Kind.SIGN_IN_FAILED, address="192.0.2.1")
    assert await write_due(apps, own) == 1
    for sessionmaker, statement, reason in (
        (apps, "SELECT address FROM audit_events", "permission denied"),
        (apps, "UPDATE audit_events SET count = 2", "permission denied"),
        (apps, "DELETE FROM audit_events", "permission denied"),
        (worker, "SELECT address FROM audit_events", "permission denied"),
        (worker, "DELETE FROM audit_events", "append-only"),
        (fresh_sessionmaker, "UPDATE audit_events SET count = 2", "append-only"),
        (fresh_sessionmaker, "TRUNCATE audit_events", "append-only"),
    ):
        with pytest.raises(DBAPIError, match=reason):
            async with sessionmaker.begin() as session:
                await session.execute(text(statement))
    old = clock.now() - timedelta(days=91)
    async with fresh_sessionmaker.begin() as session:
        event: dict[str, Any] = {"kind": Kind.PIN_WRONG, "count": 1, "facts": {}}
        session.add(AuditEvent(id=smallest_id(old), first_at=old, last_at=old, **event))
    assert await purge_audit(worker) == 1
    async with fresh_sessionmaker() as session:
        assert list(await session.scalars(select(AuditEvent.kind))) == ["sign_in_failed"]
    for engine in engines.values():
        await engine.dispose()


def as_role(database_url: str, role: str) -> Any:
    url = make_url(database_url).set(username=role, password=ROLE_PASSWORD)
    settings = DatabaseSettings(database_url=SecretStr(url.render_as_string(hide_password=False)))
    return create_engine(settings, application_name="test")


async def test_operators_commands_are_listed_with_who_ran_them(
    fresh_sessionmaker: SessionMaker, fresh_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATUA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BATUA_DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("SUDO_USER", "meera")
    asha = "asha@example.test"
    own = Trail()
    own.record(Kind.SIGN_IN_FAILED, address="192.0.2.1")
    await write_due(fresh_sessionmaker, own)

    def run(*arguments: str) -> str:
        return CliRunner().invoke(command_line, list(arguments)).output

    assert "The ledger holds" in await asyncio.to_thread(run, "prove", "--no-bank")
    newest, failure = (await asyncio.to_thread(run, "audit")).splitlines()
    assert "operator_command  prove  by meera as " in newest
    assert "banks=none" in newest
    assert "sign_in_failed  from 192.0.2.1" in failure
    only = await asyncio.to_thread(run, "audit", "--kind", "sign_in_failed", "--limit", "5")
    assert only.splitlines() == [failure]
    assert await asyncio.to_thread(run, "audit", "--since", "2999-01-01") == "No such event.\n"
    assert f"No owner is known as {asha}." in await asyncio.to_thread(run, "audit", "--owner", asha)
