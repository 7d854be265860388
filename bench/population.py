"""Ten thousand people and a shop, with money, a past and real tokens, written in bulk.

Sign-ups would take minutes of password hashing, so owners and their empty accounts are inserted directly. Their money
comes from the ledger, and the proof is run at the end. Account number n has the same id everywhere, so that pgbench can
compute it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import jwt
from pydantic import SecretStr

from bench.books import RICH, load_payments
from shared import clock
from shared.auth.passwords import Hasher
from shared.auth.tokens import Audience, Identity, Tokens
from shared.config import DatabaseSettings, PasswordSettings, TokenSettings
from shared.db.engine import create_engine, create_sessionmaker
from shared.ids import new_id
from shared.ledger.post import post
from shared.ledger.rules import Transfer
from shared.ledger.system_accounts import FUNDING

PEOPLE = 10_000
PAST_PAYMENTS = 100_000
PAST_DAYS = 90
PIN = "4711"
FUNDED_AT_ONCE = 1000
ACCOUNT_PREFIX, OWNER_PREFIX = "01900000-0000-7000-8000-", "01900000-0000-7000-9000-"
HOT_SHOP, OLD_SHOP = 900_001, 900_002
"""Numbers of the shop that all pay in the hot rows, and of the one that the past payments went to."""
LOAD_SECONDS = 120.0

_PEOPLE = f"""
    WITH owner AS (
        INSERT INTO owners (id, kind, email, password_hash, pin_hash, created_at)
        SELECT ('{OWNER_PREFIX}' || lpad(n::text, 12, '0'))::uuid, 'user', 'p' || n || '@example.com', '!', $2, now()
        FROM generate_series(1, $1::int) AS n RETURNING id
    ), profile AS (
        INSERT INTO users (id, first_name, last_name) SELECT id, 'Asha', 'Rao' FROM owner
    )
    INSERT INTO accounts (id, owner_id, kind, name, handle, currency, created_at)
    SELECT replace(id::text, '{OWNER_PREFIX}', '{ACCOUNT_PREFIX}')::uuid, id, 'wallet', 'Wallet',
           'p' || ltrim(right(id::text, 12), '0') || '@batua', 'INR', now()
    FROM owner
"""
_SHOP = """
    WITH owner AS (
        INSERT INTO owners (id, kind, email, password_hash, pin_hash, created_at)
        VALUES ($1, 'merchant', $3 || '@example.com', '!', '!', now()) RETURNING id
    ), profile AS (
        INSERT INTO merchants (id, business_name, category, timezone) SELECT id, $3, 'food', 'Asia/Kolkata' FROM owner
    )
    INSERT INTO accounts (id, owner_id, kind, name, handle, currency, created_at)
    SELECT $2, id, 'merchant', $3, $3 || '@batua', 'INR', now() FROM owner
"""
# What the past payments would have left behind, so that no table is empty and no plan is made for an empty one.
_PAST_KEYS = """
    INSERT INTO idempotency_keys (owner_id, key, fingerprint, field_hashes, status, body, created_at)
    SELECT initiated_by, 'past-' || id, repeat(md5(id::text), 2),
           '{"amount": "0123456789abcdef", "to": "0123456789abcdef"}', 201,
           jsonb_build_object('id', id, 'amount', amount, 'kind', kind, 'created_at', created_at), created_at
    FROM transfers WHERE initiated_by IS NOT NULL
"""
_PAST_MAIL = """
    INSERT INTO mails (id, kind, owner_id, count, amount, newest, attempts, sent_at, created_at, closed_at)
    SELECT uuidv7(), 'money_received', initiated_by, 1, amount, jsonb_build_array(jsonb_build_object('amount', amount)),
           1, created_at, created_at, created_at
    FROM transfers WHERE initiated_by IS NOT NULL
"""
_PAST_ON_RAMPS = """
    INSERT INTO on_ramps (id, owner_id, account_id, bank, amount, currency, status, idempotency_key, token,
                          failure_reason, is_late_success, is_contradicted, created_at, settled_at)
    SELECT uuidv7(), initiated_by, debit_account_id, 'hdfc', amount, 'INR', 'failure', 'past-' || id, 'past-' || id,
           'declined', false, false, created_at, created_at
    FROM transfers WHERE initiated_by IS NOT NULL
"""
_PAST_NOTICES = """
    INSERT INTO webhook_inbox (id, bank, webhook_id, payload, verdict, on_ramp_id, received_at)
    SELECT uuidv7(), bank, token, jsonb_build_object('event', 'payment.failure', 'token', token), 'settled', id,
           settled_at
    FROM on_ramps
"""


@dataclass(frozen=True, slots=True)
class Person:
    """One who can pay: the wallet id and what a request of this person carries."""

    number: int
    handle: str
    token: str
    pin_token: str


def account_id(number: int) -> UUID:
    """The id of the account with this number."""
    return UUID(f"{ACCOUNT_PREFIX}{number:012d}")


def owner_id(number: int) -> UUID:
    """The id of the owner with this number."""
    return UUID(f"{OWNER_PREFIX}{number:012d}")


def handle_of(number: int) -> str:
    """The wallet id of a person, or of the hot shop."""
    return "hotshop@batua" if number == HOT_SHOP else f"p{number}@batua"


async def populate(
    database_url: str, superuser_url: str, *, pin_hash: str, people: int = PEOPLE, payments: int = PAST_PAYMENTS
) -> None:
    """People who each have RICH paise, two shops, and past payments to one of them."""
    connection = await asyncpg.connect(database_url, command_timeout=LOAD_SECONDS)
    try:
        await connection.execute(_PEOPLE, people, pin_hash)
        await connection.execute(_SHOP, owner_id(HOT_SHOP), account_id(HOT_SHOP), "hotshop")
        await connection.execute(_SHOP, owner_id(OLD_SHOP), account_id(OLD_SHOP), "oldshop")
        await _fund(database_url, people)
        buyers = [account_id(number) for number in range(1, people + 1)]
        await load_payments(superuser_url, shop=account_id(OLD_SHOP), buyers=buyers, payments=payments, days=PAST_DAYS)
        for past in (_PAST_KEYS, _PAST_MAIL, _PAST_ON_RAMPS, _PAST_NOTICES):
            await connection.execute(past)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def _fund(database_url: str, people: int) -> None:
    engine = create_engine(DatabaseSettings(database_url=SecretStr(database_url)), application_name="bench")
    try:
        sessionmaker = create_sessionmaker(engine)
        for first in range(1, people + 1, FUNDED_AT_ONCE):
            numbers = range(first, min(first + FUNDED_AT_ONCE, people + 1))
            async with sessionmaker.begin() as session:
                await post(session, [Transfer(new_id(), "funding", FUNDING, account_id(n), RICH) for n in numbers])
    finally:
        await engine.dispose()


async def hash_of_pin(secrets: Mapping[str, str]) -> str:
    """The hash of PIN as the stack's services make it; everyone in the bench has the same PIN."""
    hasher = Hasher(PasswordSettings(pin_pepper=SecretStr(secrets["BATUA_PIN_PEPPER"]), bcrypt_rounds=4))
    try:
        return await hasher.hash_pin(PIN)
    finally:
        hasher.close()


def sign_in(secrets: Mapping[str, str], pin_hash: str, *, people: int, audience: Audience = "user_app") -> list[Person]:
    """Everyone's session and PIN tokens, issued by the code of the services with the stack's keys."""
    keys = [SecretStr(key) for key in secrets["BATUA_TOKEN_KEYS"].split(",")]
    tokens = Tokens(TokenSettings(token_keys=keys, pin_token_lifetime_seconds=24 * 3600), audience)
    signed = []
    for number in range(1, people + 1):
        session = tokens.issue(owner_id(number))
        claims = jwt.decode(session.token, options={"verify_signature": False})
        identity = Identity(owner_id(number), tokens.kind, UUID(claims["jti"]), is_system=False, expires_at=clock.now())
        pin_token = tokens.issue_pin_token(identity, pin_hash)
        signed.append(Person(number, handle_of(number), session.token, pin_token.token))
    return signed
