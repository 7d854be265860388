"""An address is confirmed by the button behind a link in a mail; with the setting, money leaves only then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, update

from shared.auth import email_confirmation
from shared.db.engine import SessionMaker
from shared.models import EmailConfirmation, OutboxMessage
from tests.support.apps import API, PASSWORD, PIN, RunningApp, Signed, merchant_app_settings, running, user_app_settings

BANK: dict[str, Any] = {
    "bank": "hdfc",
    "account_number": "50100012345678",
    "ifsc": "HDFC0000001",
    "account_holder": "Asha Rao",
}


@pytest.fixture
def urls(database_url: str, redis_url: str, redis: Redis) -> tuple[str, str]:
    return database_url, redis_url


async def mails(sessionmaker: SessionMaker, owner: Signed) -> list[tuple[str, dict[str, Any]]]:
    async with sessionmaker() as session:
        statement = select(OutboxMessage).where(OutboxMessage.owner_id == owner.id).order_by(OutboxMessage.id)
        return [(each.kind, each.facts) for each in await session.scalars(statement)]


async def newest_token(sessionmaker: SessionMaker, owner: Signed) -> str:
    links = [facts["link"] for kind, facts in await mails(sessionmaker, owner) if kind == "confirm_email"]
    return str(links[-1].partition("?token=")[2])


async def make_older(sessionmaker: SessionMaker, owner: UUID, by: timedelta) -> None:
    row = EmailConfirmation
    async with sessionmaker.begin() as session:
        values = {"sent_at": row.sent_at - by, "expires_at": row.expires_at - by}
        await session.execute(update(row).where(row.owner_id == owner).values(values))


async def confirm(app: RunningApp, token: str) -> int:
    return (await app.client.post(f"{API}/auth/email/confirm", json={"token": token})).status_code


@pytest.mark.parametrize("kind", ["person", "shop"])
async def test_the_welcome_follows_the_confirmation(
    urls: tuple[str, str], sessionmaker: SessionMaker, kind: str
) -> None:
    settings = user_app_settings(*urls) if kind == "person" else merchant_app_settings(*urls)
    async with running(settings) as app:
        owner = await (app.person("Asha") if kind == "person" else app.shop("Chai Point"))
        ((first, facts),) = await mails(sessionmaker, owner)
        assert (first, facts["to"]) == ("confirm_email", owner.profile["email"])
        token = await newest_token(sessionmaker, owner)
        page = await app.client.get(f"/confirm-email?token={token}")
        assert page.status_code == 200
        assert "<form" in page.text
        assert len(await mails(sessionmaker, owner)) == 1, "opening the link confirmed it"
        async with sessionmaker() as session:
            kept = (await session.execute(select(EmailConfirmation.token_hash))).scalars().all()
        assert token not in kept
        browser = {"cookie": f"session={owner.token}", "accept": "text/html"}
        assert "/profile/email" in (await app.client.get("/", headers=browser)).text
        assert facts["to"] in (await app.client.get("/profile/email", headers=browser)).text
        sent = await app.client.post("/confirm-email", data={"token": token})
        assert sent.status_code == 403, "a form of another site confirmed it"
        own = {"sec-fetch-site": "same-origin"}
        sent = await app.client.post("/confirm-email", data={"token": token}, headers=own)
        assert sent.status_code == 303
        assert await confirm(app, token) == 404
        assert "/profile/email" not in (await app.client.get("/", headers=browser)).text
        assert [kind for kind, _ in await mails(sessionmaker, owner)] == ["confirm_email", "welcome"]


async def test_links_expire_and_are_replaced_and_are_few(urls: tuple[str, str], sessionmaker: SessionMaker) -> None:
    async with running(user_app_settings(*urls)) as app:
        asha = await app.person("Asha")
        first = await newest_token(sessionmaker, asha)
        refused = await asha.post("/auth/email/resend")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_confirmation_mails")
        for _ in range(email_confirmation.CONFIRMATION_MAILS_PER_DAY - 1):
            await make_older(sessionmaker, asha.id, timedelta(minutes=1, seconds=1))
            assert (await asha.post("/auth/email/resend")).status_code == 204
        await make_older(sessionmaker, asha.id, timedelta(minutes=1, seconds=1))
        assert (await asha.post("/auth/email/resend")).status_code == 429
        assert await confirm(app, first) == 404
        await make_older(sessionmaker, asha.id, email_confirmation.LINK_LIFETIME)
        assert await confirm(app, await newest_token(sessionmaker, asha)) == 404


async def test_a_corrected_address_signs_in_once_confirmed_and_tells_of_no_other(
    urls: tuple[str, str], sessionmaker: SessionMaker
) -> None:
    async with running(user_app_settings(*urls)) as app:
        asha, ravi = await app.person("Asha"), await app.person("Ravi")
        right = f"right-{asha.profile['email']}"
        wrong = await asha.post("/auth/email/correct", email=right, current_password="not the password")
        assert wrong.json()["code"] == "current_password_incorrect"
        for address, status in ((ravi.profile["email"], 404), (right, 204)):
            await make_older(sessionmaker, asha.id, timedelta(minutes=2))
            answer = await asha.post("/auth/email/correct", email=address, current_password=PASSWORD)
            assert answer.status_code == 204, answer.text
            assert (await mails(sessionmaker, asha))[-1][1]["to"] == address
            assert await confirm(app, await newest_token(sessionmaker, asha)) == status
        assert (await asha.post("/auth/login", email=right, password=PASSWORD)).status_code == 200
        assert (await asha.post("/auth/email/resend")).json()["code"] == "email_confirmed"


async def test_money_leaves_only_with_a_confirmed_address(urls: tuple[str, str], sessionmaker: SessionMaker) -> None:
    settings = user_app_settings(*urls, require_verified_email=True, welcome_balance_paise=100_00)
    assert settings.requires_verified_email
    assert not user_app_settings(*urls).requires_verified_email
    async with running(settings) as app:
        asha, ravi = await app.person("Asha"), await app.person("Ravi")
        pot = (await asha.post("/accounts", name="Trip")).json()["id"]

        async def leave() -> list[tuple[int, str]]:
            item = {"to": ravi.profile["wallet_id"], "amount": 1_00}
            answers = [
                await asha.post("/transfers", **item, pin=PIN),
                await asha.post("/transfers/bulk", items=[item], pin=PIN),
                await asha.post("/withdrawals", **BANK, amount=1_00, pin=PIN),
            ]
            return [(each.status_code, each.json().get("code", "")) for each in answers]

        assert await leave() == [(403, "email_unverified")] * 3
        assert (await asha.post("/transfers", to=pot, amount=1_00, pin=PIN)).status_code == 201
        assert (await asha.post("/transfers/bulk", items=[{"to": pot, "amount": 1_00}], pin=PIN)).status_code == 200
        assert await confirm(app, await newest_token(sessionmaker, asha)) == 204
        assert [status for status, _ in await leave()] == [201, 200, 202]
