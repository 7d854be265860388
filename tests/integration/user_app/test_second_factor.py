"""The platform's own user signs in with a code of its authenticator too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pyotp
import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from infra.postgres.roles import SERVICE_ROLES, grant_service_roles
from shared import clock
from shared.audit.kinds import Kind
from shared.audit.trail import trail
from shared.auth import recovery_codes
from shared.auth.errors import SecondFactorNotEnrolled
from shared.auth.second_factor import Enrolment, SecondFactorCheck, enrol
from shared.config import DatabaseSettings, RateLimits
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.models import Owner, RecoveryCode, SecondFactor
from tests.support.apps import API, PASSWORD, RunningApp, Signed, problem, running, user_app_settings
from tests.support.browsing import Browser
from tests.support.factories import create_user

STEP = timedelta(seconds=30)
ROLE_PASSWORD = "for-tests-only-0123456789"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The clock stands still: a code does not change between its making and its arrival."""
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    return moment


async def make_platform(app: RunningApp) -> Signed:
    signed = await app.person("Prakash")
    async with app.sessionmaker.begin() as session:
        await session.execute(update(Owner).where(Owner.id == signed.id).values(is_system=True))
    return signed


async def enrolled(app: RunningApp, platform: Signed) -> pyotp.TOTP:
    """A new authenticator."""
    return _authenticator((await enrolment_of(app, platform)).address)


async def enrolment_of(app: RunningApp, platform: Signed) -> Enrolment:
    async with app.sessionmaker.begin() as session:
        return await enrol(
            session,
            owner_id=platform.id,
            email=platform.profile["email"],
            settings=app.app.state.resources.settings,
        )


def _authenticator(address: str) -> pyotp.TOTP:
    """What a phone has that scanned it."""
    authenticator = pyotp.parse_uri(address)
    assert isinstance(authenticator, pyotp.TOTP)
    return authenticator


async def log_in(platform: Signed, password: str = PASSWORD, **more: Any) -> httpx.Response:
    body = {"email": platform.profile["email"], "password": password, **more}
    answer = await platform.client.post(f"{API}/auth/login", json=body)
    platform.client.cookies.clear()
    return answer


@pytest.fixture
async def throttled(database_url: str, redis_url: str) -> AsyncIterator[RunningApp]:
    """user_app that counts failures."""
    limits = RateLimits(login_per_email="3/15minutes")
    settings = user_app_settings(database_url, redis_url).model_copy(update={"rate_limits": limits})
    async with running(settings) as app:
        yield app


async def test_a_code_is_needed_and_accepted_once(user_app: RunningApp, now: datetime) -> None:
    platform = await make_platform(user_app)
    authenticator = await enrolled(user_app, platform)
    code = authenticator.at(now)
    missing = problem(await log_in(platform), 401, "second_factor_required")
    assert [each["field"] for each in missing["errors"]] == ["totp"]
    problem(await log_in(platform, password="not this one", totp=code), 401, "bad_credentials")
    problem(await log_in(platform, totp=authenticator.at(now + 2 * STEP)), 401, "wrong_second_factor")
    problem(await log_in(platform, totp=authenticator.at(now - 2 * STEP)), 401, "wrong_second_factor")
    problem(await log_in(platform, totp="12345"), 422, "invalid_request")
    answers = await asyncio.gather(*(log_in(platform, totp=code) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]
    problem(await log_in(platform, totp=authenticator.at(now - STEP)), 401, "wrong_second_factor")
    assert (await log_in(platform, totp=authenticator.at(now + STEP))).status_code == 200


async def test_a_recovery_code_signs_in_once_and_is_audited(user_app: RunningApp) -> None:
    platform, other = await make_platform(user_app), await make_platform(user_app)
    codes = (await enrolment_of(user_app, platform)).recovery_codes
    assert len(set(codes)) == recovery_codes.COUNT
    (foreign, *_) = (await enrolment_of(user_app, other)).recovery_codes
    problem(await log_in(platform, totp=foreign), 401, "wrong_second_factor")
    problem(await log_in(platform, password="not this one", totp=codes[0]), 401, "bad_credentials")
    trail.take(clock.now(), everything=True)
    answers = await asyncio.gather(*(log_in(platform, totp=codes[0]) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]
    told = {
        (fold.subject.kind, fold.subject.what, fold.subject.owner_id, fold.count)
        for fold in trail.take(clock.now(), everything=True)
    }
    assert told == {
        (Kind.RECOVERY_CODE_USED, "9 left", platform.id, 1),
        (Kind.SIGN_IN_SUCCEEDED, None, platform.id, 1),
        (Kind.SECOND_FACTOR_WRONG, None, platform.id, 2),
    }
    as_typed_from_paper = codes[1].lower().replace("-", "")
    assert (await log_in(platform, totp=as_typed_from_paper)).status_code == 200
    async with user_app.sessionmaker() as session:
        kept = (await session.scalars(select(RecoveryCode.code_hash))).all()
    assert not {code.replace("-", "") for code in codes} & set(kept)
    await enrolment_of(user_app, platform)
    problem(await log_in(platform, totp=codes[2]), 401, "wrong_second_factor")


async def test_wrong_recovery_codes_slow_down_too(throttled: RunningApp) -> None:
    platform = await make_platform(throttled)
    codes = (await enrolment_of(throttled, platform)).recovery_codes
    for _ in range(3):
        problem(await log_in(platform, totp="ABCD-" * 5 + "ABCD"), 401, "wrong_second_factor")
    problem(await log_in(platform, totp=codes[0]), 429, "too_many_attempts")


async def test_wrong_codes_slow_down_as_wrong_passwords_do(throttled: RunningApp, now: datetime) -> None:
    platform = await make_platform(throttled)
    authenticator = await enrolled(throttled, platform)
    for _ in range(3):
        problem(await log_in(platform, totp=authenticator.at(now - 9 * STEP)), 401, "wrong_second_factor")
    problem(await log_in(platform, totp=authenticator.at(now)), 429, "too_many_attempts")


async def test_without_an_authenticator_production_refuses(user_app: RunningApp) -> None:
    platform, resources = await make_platform(user_app), user_app.app.state.resources
    assert (await log_in(platform)).status_code == 200
    settings = resources.settings.model_copy(update={"env": "production"})
    check = SecondFactorCheck(settings, resources.sessionmaker, resources.throttle)
    with pytest.raises(SecondFactorNotEnrolled):
        await check.require(platform.id, None)


@pytest.mark.xdist_group("database roles")  # they are of the whole server
async def test_of_all_services_only_user_app_reads_it_and_none_enrols(
    user_app: RunningApp, fresh_database_url: str, fresh_sessionmaker: SessionMaker, now: datetime
) -> None:
    passwords = dict.fromkeys(SERVICE_ROLES, ROLE_PASSWORD)
    await asyncio.to_thread(grant_service_roles, fresh_database_url, passwords=passwords)
    resources = user_app.app.state.resources
    async with fresh_sessionmaker.begin() as session:
        owner_id = (await create_user(session, is_system=True)).owner_id
        assert owner_id is not None
        enrolment = await enrol(session, owner_id=owner_id, email="ops@example.com", settings=resources.settings)
    for role in SERVICE_ROLES:
        url = make_url(fresh_database_url).set(username=role, password=ROLE_PASSWORD)
        settings = DatabaseSettings(database_url=SecretStr(url.render_as_string(hide_password=False)))
        engine = create_engine(settings, application_name=role)
        sessionmaker = create_sessionmaker(engine)
        check = SecondFactorCheck(resources.settings, sessionmaker, resources.throttle)
        if role == "user_app":
            await check.require(owner_id, _authenticator(enrolment.address).at(now))
            await check.require(owner_id, enrolment.recovery_codes[0])
            with pytest.raises(ProgrammingError, match="permission denied"):
                async with sessionmaker.begin() as session:
                    await enrol(session, owner_id=owner_id, email="ops@example.com", settings=resources.settings)
            with pytest.raises(ProgrammingError, match="permission denied"):
                async with sessionmaker.begin() as session:
                    await recovery_codes.renew(session, owner_id=owner_id, settings=resources.settings)
        else:
            for column in (SecondFactor.sealed_secret, RecoveryCode.code_hash):
                with pytest.raises(ProgrammingError, match="permission denied"):
                    async with sessionmaker() as session:
                        await session.scalar(select(column))
        await engine.dispose()


async def test_others_need_no_code(asha: Signed) -> None:
    assert (await log_in(asha)).status_code == 200
    assert (await log_in(asha, totp="123456")).status_code == 200


async def test_the_page_asks_for_the_code(user_app: RunningApp, now: datetime) -> None:
    platform = await make_platform(user_app)
    authenticator = await enrolled(user_app, platform)
    browser = Browser(Signed(platform.client, platform.profile, ""))
    form = (await browser.open("/sign-in")).form("/sign-in")
    assert "totp" not in form.fields
    credentials = {"email": platform.profile["email"], "password": PASSWORD}
    asked = await browser.submit(form, **credentials)
    assert "The code that your authenticator shows now" in asked.text
    wrong = await browser.submit(asked.form("/sign-in"), **credentials, totp=authenticator.at(now + 2 * STEP))
    assert "Not right, or used before" in wrong.text
    home = await browser.submit(wrong.form("/sign-in"), **credentials, totp=authenticator.at(now))
    assert "Namaste, Prakash" in home.text


async def test_the_page_takes_a_recovery_code(user_app: RunningApp) -> None:
    platform = await make_platform(user_app)
    (code, *_) = (await enrolment_of(user_app, platform)).recovery_codes
    browser = Browser(Signed(platform.client, platform.profile, ""))
    credentials = {"email": platform.profile["email"], "password": PASSWORD}
    asked = await browser.submit((await browser.open("/sign-in")).form("/sign-in"), **credentials)
    assert "one of your recovery codes" in asked.text
    home = await browser.submit(asked.form("/sign-in"), **credentials, totp=code)
    assert "Namaste, Prakash" in home.text
