"""The database gives up a transaction of a page, a read or a sign-in: it is answered as if nothing had happened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import Any

import httpx
import pyotp
import pytest
from sqlalchemy import update

from shared import clock
from shared.auth.recovery_codes import renew
from shared.auth.second_factor import enrol
from shared.auth.throttle import Attempt, SignInThrottle
from shared.models import Owner, SecondFactor
from tests.support.apps import API, PASSWORD, PIN, RunningApp, Signed
from tests.support.browsing import Browser
from tests.support.database_faults import Fault
from tests.support.faulty_world import World

ANYWHERE = (Fault.SERIALIZATION, Fault.LOST, Fault.READ_ONLY, Fault.CUT, Fault.DEADLOCK, Fault.LOST_AFTER)
"""In turns at statements, BEGIN and COMMIT among them."""
UNANSWERED = {Fault.LOST, Fault.LOST_AFTER, Fault.CUT}
RUPEES = 20_00
ACCOUNT: dict[str, Any] = {
    "bank": "hdfc",
    "account_number": "123456781234",
    "ifsc": "HDFC0000001",
    "account_holder": "Asha Rao",
}

Ask = Callable[[], Awaitable[httpx.Response]]


async def is_answered_whatever_fails(world: World, ask: Ask, status: int = 200) -> None:
    """The answer has this status with a fault at each of its statements, one at a time."""
    faults = cycle(ANYWHERE)
    for _ in range(2):  # then its statements are prepared, and connections are there
        world.faults.begin()
        answer = await ask()
        assert answer.status_code == status, answer.text
    for number, statement in enumerate(list(world.faults.seen)):
        fault = next(faults)
        world.faults.begin(at=number, fault=fault)
        answer = await ask()
        world.faults.end()
        what = f"{answer.request.url.path}: {fault} at statement {number}: {statement}"
        assert answer.status_code == status, what
    world.faults.end()


async def are_all_answered(world: World, who: Signed, *, pages: list[str], reads: list[str]) -> None:
    """These pages, and these addresses below `/api/v1`."""
    browser = Browser(who)
    for page in pages:
        await is_answered_whatever_fails(world, lambda path=page: _opened(browser, path))  # type: ignore[misc]
    for read in reads:
        await is_answered_whatever_fails(world, lambda path=read: who.get(path))  # type: ignore[misc]


async def _opened(browser: Browser, path: str) -> httpx.Response:
    return (await browser.open(path)).answer


async def test_a_person_reads_whatever_fails(world: World) -> None:
    asha, ravi = await world.user_app.person(balance=1000 * RUPEES), await world.user_app.person("Ravindranath")
    shop = await world.merchant_app.shop()
    pot = (await asha.post("/accounts", key=None, name="Goa")).json()["id"]
    sent = (await asha.send(shop.wallet_id, RUPEES)).json()["id"]
    on_ramp = (await asha.post("/on-ramps", bank="hdfc", amount=RUPEES)).json()["id"]
    withdrawal = (await asha.post("/withdrawals", **ACCOUNT, amount=RUPEES, pin=PIN)).json()["id"]
    await are_all_answered(
        world,
        asha,
        pages=[
            *("/", "/activity", "/pots", f"/pots/{pot}", "/profile", "/profile/email", f"/transfers/{sent}"),
            *("/send", f"/send?to={ravi.wallet_id}", "/send/people?q=ravindra", f"/pay/{shop.wallet_id}"),
            *("/add-money", f"/on-ramps/{on_ramp}", "/withdraw", "/withdrawals", f"/withdrawals/{withdrawal}"),
        ],
        reads=[
            *("/wallet", "/limits", "/accounts", f"/accounts/{pot}", f"/accounts/{pot}/balance", "/users/me"),
            *("/transactions", "/transactions.csv", "/on-ramps", f"/on-ramps/{on_ramp}", "/withdrawals"),
        ],
    )
    stranger = Browser(Signed(world.user_app.client, {}, ""))
    await is_answered_whatever_fails(world, lambda: _opened(stranger, f"/pay/{shop.wallet_id}"))
    unknown = "/confirm-email?token=unknown"
    await is_answered_whatever_fails(world, lambda: _opened(stranger, unknown), status=404)


async def test_a_shop_reads_whatever_fails(world: World) -> None:
    asha, shop = await world.user_app.person(balance=1000 * RUPEES), await world.merchant_app.shop()
    payment = (await asha.send(shop.wallet_id, RUPEES)).json()["id"]
    await are_all_answered(
        world,
        shop,
        pages=[
            *("/", "/transactions", f"/transactions/{payment}", f"/transactions/{payment}/refund", "/qr", "/profile"),
        ],
        reads=["/merchants/me", "/qr.svg", "/qr.png", "/inflow/daily", "/transactions"],
    )


async def test_the_form_of_a_first_payment_leads_to_its_review_whatever_fails(world: World) -> None:
    asha, ravi = await world.user_app.person(balance=1000 * RUPEES), await world.user_app.person("Ravi")
    browser = Browser(asha)
    form = (await browser.open(f"/send?to={ravi.wallet_id}")).form("/send")
    await is_answered_whatever_fails(world, lambda: browser.post(form, amount="5"), status=303)


@pytest.mark.parametrize("kind", ["person", "shop"])
async def test_a_sign_in_succeeds_whatever_fails(world: World, kind: str) -> None:
    who = await (world.user_app.person() if kind == "person" else world.merchant_app.shop())
    await is_answered_whatever_fails(world, lambda: sign_in(who))


async def sign_in(who: Signed, **more: str) -> httpx.Response:
    answer = await who.client.post(
        f"{API}/auth/login", json={"email": who.profile["email"], "password": PASSWORD, **more}
    )
    who.client.cookies.clear()
    return answer


async def enrolled(app: RunningApp) -> tuple[Signed, pyotp.TOTP, list[str]]:
    """The platform's own user, the authenticator and the recovery codes."""
    platform = await app.person("Prakash")
    async with app.sessionmaker.begin() as session:
        await session.execute(update(Owner).where(Owner.id == platform.id).values(is_system=True))
        settings = app.app.state.resources.settings
        made = await enrol(session, owner_id=platform.id, email=platform.profile["email"], settings=settings)
    authenticator = pyotp.parse_uri(made.address)
    assert isinstance(authenticator, pyotp.TOTP)
    return platform, authenticator, made.recovery_codes


@pytest.mark.parametrize("has_authenticator", [True, False], ids=["authenticator", "recovery code"])
async def test_a_second_factor_is_accepted_once_whatever_fails(
    world: World, monkeypatch: pytest.MonkeyPatch, has_authenticator: bool
) -> None:
    """Where the answer to its commit is lost, it may be used up, and the sign-in is told to come again."""
    moment, begin, turns = clock.now(), SignInThrottle.begin, list[str]()

    async def counted(throttle: SignInThrottle, attempt: Attempt) -> None:
        turns.extend(limit.name for limit in attempt if "second-factor" in limit.name)
        await begin(throttle, attempt)

    monkeypatch.setattr(clock, "now", lambda: moment)
    monkeypatch.setattr(SignInThrottle, "begin", counted)
    platform, authenticator, codes = await enrolled(world.user_app)

    async def next_code() -> str:
        if not has_authenticator:
            return codes.pop()
        await world.change(update(SecondFactor).where(SecondFactor.owner_id == platform.id).values(last_step=0))
        return authenticator.at(moment)

    async def renewed() -> None:
        if not codes:
            async with world.sessionmaker.begin() as session:
                settings = world.user_app.app.state.resources.settings
                codes.extend(await renew(session, owner_id=platform.id, settings=settings))

    assert (await sign_in(platform, totp=await next_code())).status_code == 200
    world.faults.begin()
    assert (await sign_in(platform, totp=await next_code())).status_code == 200
    statements = list(world.faults.seen)
    world.faults.end()
    changed = next(n for n, each in enumerate(statements) if each.startswith(("UPDATE second", "DELETE FROM recovery")))
    committed = statements.index("COMMIT;", changed)
    for number in range(len(statements)):
        for fault in Fault if number == committed else [ANYWHERE[number % len(ANYWHERE)]]:
            await renewed()
            code = await next_code()
            turns.clear()
            world.faults.begin(at=number, fault=fault)
            first = (await sign_in(platform, totp=code)).status_code
            world.faults.end()
            what = f"{fault} at statement {number}: {statements[number]}"
            assert len(turns) == 1, what
            is_unanswered = number == committed and fault in UNANSWERED
            assert first == (503 if is_unanswered else 200), what
            again = [(await sign_in(platform, totp=code)).status_code for _ in range(2)]
            assert again in ([[200, 401], [401, 401]] if is_unanswered else [[401, 401]]), what
