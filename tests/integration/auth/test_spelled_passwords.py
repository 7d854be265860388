"""A password is the same however a keyboard spells it, also one that was hashed before passwords were prepared."""

from __future__ import annotations

import asyncio

import bcrypt
import httpx
import pytest
from sqlalchemy import select, update

from shared.auth.rules import MAX_PASSWORD_LENGTH
from shared.db.engine import SessionMaker
from shared.models import Owner
from tests.support.auth_people import bearing, is_problem, log_in, open_shop, sign_up

COMPOSED, DECOMPOSED = "Jos\u00e9 \u00c9milie", "Jose\u0301 E\u0301milie"
PENS = ("\u0958\u0932\u092e \u0958\u0932\u092e", "\u0915\u093c\u0932\u092e \u0915\u093c\u0932\u092e")

STRONG = "correct horse battery staple"
LONGEST = tuple(
    STRONG + letter * (MAX_PASSWORD_LENGTH - len(STRONG)) for letter in ("\u1f82", "\u03b1\u0313\u0300\u0345")
)


async def hash_of(sessionmaker: SessionMaker, email: str) -> str:
    async with sessionmaker() as session:
        return (await session.execute(select(Owner.password_hash).where(Owner.email == email))).scalar_one()


async def hashed_before(sessionmaker: SessionMaker, email: str, password: str) -> str:
    made = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    async with sessionmaker.begin() as session:
        await session.execute(update(Owner).where(Owner.email == email).values(password_hash=made))
    return made


@pytest.mark.parametrize(
    ("chosen", "typed"),
    [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED), PENS, PENS[::-1], LONGEST, LONGEST[::-1]],
    ids=["accents", "accents apart", "nukta", "nukta apart", "longest", "longest apart"],
)
async def test_a_password_signs_in_from_another_keyboard(
    users: httpx.AsyncClient, shops: httpx.AsyncClient, chosen: str, typed: str
) -> None:
    person = await sign_up(users, password=chosen)
    assert (await log_in(users, person["user"]["email"], typed)).status_code == 200
    shop = await open_shop(shops, password=chosen)
    assert (await log_in(shops, shop["merchant"]["email"], typed)).status_code == 200
    is_problem(await log_in(users, person["user"]["email"], "x" + typed[1:]), 401, "bad_credentials")


async def test_a_password_from_before_signs_in_as_it_was_typed_and_then_in_every_spelling(
    users: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    email = (await sign_up(users))["user"]["email"]
    before = await hashed_before(sessionmaker, email, DECOMPOSED)
    answers = await asyncio.gather(*(log_in(users, email, DECOMPOSED) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    after = await hash_of(sessionmaker, email)
    assert after != before
    assert bcrypt.checkpw(COMPOSED.encode(), after.encode())
    for typed in (COMPOSED, DECOMPOSED):
        assert (await log_in(users, email, typed)).status_code == 200
    assert await hash_of(sessionmaker, email) == after, "it is hashed again once"


async def test_a_password_from_before_proves_the_owner_who_changes_it(
    users: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    person = await sign_up(users)
    await hashed_before(sessionmaker, person["user"]["email"], DECOMPOSED)
    body = {"current_password": DECOMPOSED, "new_password": COMPOSED}
    answer = await users.patch("/users/me", json=body, headers=bearing(person["token"]))
    assert answer.status_code == 200, answer.text
    assert (await log_in(users, person["user"]["email"], DECOMPOSED)).status_code == 200


async def test_a_password_of_before_that_is_longer_than_bcrypt_reads_when_prepared(
    users: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    email, password = (await sign_up(users))["user"]["email"], "\u0958" * 24  # 72 bytes, 144 in NFC
    await hashed_before(sessionmaker, email, password)
    for typed in (password, "\u0915\u093c" * 24, password):
        assert (await log_in(users, email, typed)).status_code == 200
    is_problem(await log_in(users, email, "\u0915\u093c" * 23 + "\u0915\u0916"), 401, "bad_credentials")
