"""While services are replaced, those of the version before work on: under the new policies on rows, the new checks at
commit, and the rights that `batua migrate --service-roles --with-version-before` leaves them.

The statements are those that it sends: it writes the ledger's tables itself, and account numbers whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from typer.testing import CliRunner

from infra.cli.main import app as command_line
from infra.local.secrets import postgres_password_name
from infra.postgres.roles import SERVICE_ROLES
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.models import Account
from shared.proof.prove import prove
from tests.support.bank_flows import create_on_ramp, create_withdrawal
from tests.support.factories import create_merchant, create_user
from tests.support.service_roles import PASSWORD, connected

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

HDFC = system_accounts.SETTLEMENT["hdfc"]
APPS = {"user_app": "user", "merchant_app": "merchant"}


@dataclass(frozen=True)
class World:
    """A person and a shop with 1,000 paise each, and the database after `batua migrate`."""

    url: str
    asha: Account
    shop: Account

    def of(self, role: str) -> Account:
        """Whom this app serves."""
        return self.shop if role == "merchant_app" else self.asha


@pytest.fixture
async def world(
    fresh_database_url: str, fresh_sessionmaker: SessionMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """As an operator leaves it who has begun to replace the services; afterwards the books are proven."""
    monkeypatch.setenv("BATUA_HOME", str(tmp_path))
    monkeypatch.setenv("BATUA_DATABASE_URL", fresh_database_url)
    for role in SERVICE_ROLES:
        monkeypatch.setenv(postgres_password_name(role), PASSWORD)
    command = ["migrate", "--service-roles", "--with-version-before"]
    granted = await asyncio.to_thread(CliRunner().invoke, command_line, command)
    assert granted.exit_code == 0, granted.output
    async with fresh_sessionmaker.begin() as session:
        made = World(
            fresh_database_url, await create_user(session, balance=1_000), await create_merchant(session, balance=1_000)
        )
    yield made
    proof = await prove(fresh_sessionmaker)
    assert proof.ok, proof.failed


@asynccontextmanager
async def working_as(role: str, world: World) -> AsyncIterator[asyncpg.Connection]:
    """A transaction of this role, which is committed."""
    async with connected(world.url, role) as connection, connection.transaction():
        yield connection


def changed_one(status: str) -> bool:
    return status.endswith(" 1")


async def post(
    connection: asyncpg.Connection,
    kind: str,
    debited: UUID,
    credited: UUID,
    amount: int,
    *,
    initiator: UUID | None = None,
    reverses: UUID | None = None,
    released: int = 0,
) -> UUID:
    """Move money as the version before does. `released` is what the debited account held for it."""
    transfer_id = new_id()
    accounts = sorted([debited, credited])
    locked = "SELECT id FROM accounts WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
    assert [row[0] for row in await connection.fetch(locked, accounts)] == accounts
    await connection.execute(
        "INSERT INTO transfers (id, kind, debit_account_id, credit_account_id, amount, currency, initiated_by,"
        " reverses, created_at) VALUES ($1, $2, $3, $4, $5, 'INR', $6, $7, now())",
        *(transfer_id, kind, debited, credited, amount, initiator, reverses),
    )
    for account, change, held, direction in (
        (debited, -amount, -released, "DEBIT"),
        (credited, amount, 0, "CREDIT"),
    ):
        status = await connection.execute(
            "WITH changed AS (UPDATE accounts SET balance = balance + $2, held = held + $5, seq = seq + 1"
            " WHERE id = $1 RETURNING *)"
            " INSERT INTO entries SELECT id, seq, $3, $4, $6, balance, now() FROM changed",
            *(account, change, transfer_id, direction, held, amount),
        )
        assert changed_one(status)
    return transfer_id


async def queue_withdrawal(connection: asyncpg.Connection, account: Account) -> tuple[UUID, UUID]:
    """Ask for 100 paise; the withdrawal and its hold."""
    withdrawal_id, hold_id = new_id(), new_id()
    await connection.execute("UPDATE accounts SET held = held + 100 WHERE id = $1", account.id)
    await connection.execute(
        "INSERT INTO holds (id, account_id, amount, status, created_at) VALUES ($1, $2, 100, 'active', now())",
        *(hold_id, account.id),
    )
    await connection.execute(
        "INSERT INTO withdrawals (id, owner_id, account_id, bank, account_number, ifsc, account_holder, amount,"
        " currency, status, hold_id, attempts, created_at) VALUES ($1, $2, $3, 'hdfc', '123456789012', 'HDFC0000001',"
        " 'Asha Rao', 100, 'INR', 'queued', $4, 0, now())",
        *(withdrawal_id, account.owner_id, account.id, hold_id),
    )
    await connection.execute(
        "INSERT INTO withdrawal_events (withdrawal_id, seq, status, kind, facts, at)"
        " VALUES ($1, 1, 'queued', 'queued', '{}', now())",
        withdrawal_id,
    )
    return withdrawal_id, hold_id


async def add_mail(connection: asyncpg.Connection, owner_id: UUID | None) -> None:
    await connection.execute(
        "INSERT INTO outbox_messages (id, kind, owner_id, facts, attempts, next_attempt_at, created_at)"
        " VALUES ($1, 'money_received', $2, '{}', 0, now(), now())",
        *(new_id(), owner_id),
    )


@pytest.mark.parametrize("role", APPS)
async def test_an_app_signs_up_and_in_and_changes_secrets(world: World, role: str) -> None:
    kind, owner_id, wallet_id = APPS[role], new_id(), new_id()
    async with working_as(role, world) as connection:
        await connection.execute(
            "INSERT INTO owners (id, kind, email, password_hash, pin_hash, created_at)"
            " VALUES ($1, $2, 'new@example.com', 'a hash', 'a hash', now())",
            *(owner_id, kind),
        )
        if kind == "user":
            await connection.execute(
                "INSERT INTO users (id, first_name, last_name) VALUES ($1, 'Nila', 'Rao')", owner_id
            )
        else:
            await connection.execute(
                "INSERT INTO merchants (id, business_name, timezone) VALUES ($1, 'Tea', 'Asia/Kolkata')", owner_id
            )
        await connection.execute(
            "INSERT INTO accounts (id, owner_id, kind, name, handle, currency, created_at)"
            " VALUES ($1, $2, $3, 'Wallet', 'nila@batua', 'INR', now())",
            *(wallet_id, owner_id, "wallet" if kind == "user" else "merchant"),
        )
        if kind == "user":  # a gift at sign-up
            await post(connection, "funding", system_accounts.FUNDING, wallet_id, 500)
        await add_mail(connection, owner_id)
    async with working_as(role, world) as connection:
        by_email = "SELECT id, password_hash FROM owners WHERE kind = $1 AND email = 'new@example.com'"
        assert [tuple(row) for row in await connection.fetch(by_email, kind)] == [(owner_id, "a hash")]
        pin = "SELECT pin_hash FROM owners WHERE id = $1 FOR NO KEY UPDATE"
        assert await connection.fetchval(pin, owner_id) == "a hash"
        await connection.execute(
            "INSERT INTO pin_failures (id, owner_id, failed_at) VALUES ($1, $2, now())", new_id(), owner_id
        )
        assert await connection.fetchval("SELECT count(*) FROM pin_failures WHERE owner_id = $1", owner_id) == 1
        assert changed_one(await connection.execute("DELETE FROM pin_failures WHERE owner_id = $1", owner_id))
        changed = await connection.execute(
            "UPDATE owners SET password_hash = 'new', pin_hash = 'new', tokens_valid_after = now(), kept_token_id = $2"
            " WHERE id = $1 AND password_hash = 'a hash'",
            *(owner_id, new_id()),
        )
        assert changed_one(changed)
        await connection.execute("INSERT INTO revoked_tokens (id, expires_at) VALUES ($1, now())", new_id())


@pytest.mark.parametrize("role", APPS)
async def test_an_app_asks_who_is_calling_and_names_the_other_kind(world: World, role: str) -> None:
    own, other = world.of(role), world.asha if role == "merchant_app" else world.shop
    async with working_as(role, world) as connection:
        session = await connection.fetchrow(
            "SELECT owner.kind, owner.is_system, owner.tokens_valid_after, wallet.balance"
            " FROM unnest($1::uuid[]) AS asked (owner_id)"
            " LEFT JOIN owners owner ON owner.id = asked.owner_id"
            " LEFT JOIN accounts wallet ON wallet.owner_id = asked.owner_id AND wallet.kind IN ('wallet', 'merchant')",
            [own.owner_id],
        )
        assert tuple(session) == (APPS[role], False, None, 1_000)
        name = await connection.fetchval(
            "SELECT coalesce((SELECT trim(first_name || ' ' || last_name) FROM users WHERE id = account.owner_id),"
            " (SELECT business_name FROM merchants WHERE id = account.owner_id)) FROM accounts account WHERE id = $1",
            other.id,
        )
        assert name


async def test_a_person_pays_a_shop_which_refunds(world: World) -> None:
    async with working_as("user_app", world) as connection:
        payment = await post(connection, "payment", world.asha.id, world.shop.id, 300, initiator=world.asha.owner_id)
        await connection.execute(
            "UPDATE accounts SET sent_on = current_date, sent_today = 300 WHERE id = $1", world.asha.id
        )
        await connection.execute(
            "INSERT INTO idempotency_keys (owner_id, key, fingerprint, field_hashes, status, body, created_at)"
            " VALUES ($1, 'one', 'print', '{}', 201, '{}', now())",
            world.asha.owner_id,
        )
        await add_mail(connection, world.shop.owner_id)
    async with working_as("merchant_app", world) as connection:
        refund = (world.shop.id, world.asha.id, 120)
        await post(connection, "refund", *refund, initiator=world.shop.owner_id, reverses=payment)
        await add_mail(connection, world.asha.owner_id)


async def test_a_person_starts_and_cancels_an_on_ramp(world: World) -> None:
    on_ramp_id = new_id()
    async with working_as("user_app", world) as connection:
        locked = "SELECT id FROM owners WHERE id = $1 FOR NO KEY UPDATE"
        assert await connection.fetchval(locked, world.asha.owner_id) == world.asha.owner_id
        await connection.execute(
            "INSERT INTO on_ramps (id, owner_id, account_id, bank, amount, currency, status, idempotency_key,"
            " is_late_success, is_contradicted, created_at)"
            " VALUES ($1, $2, $3, 'hdfc', 500, 'INR', 'pending', 'key', false, false, now())",
            *(on_ramp_id, world.asha.owner_id, world.asha.id),
        )
    async with working_as("user_app", world) as connection:
        status = await connection.execute(
            "UPDATE on_ramps SET status = 'cancelled', settled_at = now(), cancel_requested_at = now() WHERE id = $1",
            on_ramp_id,
        )
        assert changed_one(status)


@pytest.mark.parametrize("role", APPS)
async def test_an_app_queues_and_cancels_a_withdrawal(world: World, role: str) -> None:
    async with working_as(role, world) as connection:
        withdrawal_id, hold_id = await queue_withdrawal(connection, world.of(role))
    async with working_as(role, world) as connection:
        await connection.execute("UPDATE accounts SET held = held - 100 WHERE id = $1", world.of(role).id)
        for statement, row_id in (
            ("UPDATE holds SET status = 'released', closed_at = now() WHERE id = $1", hold_id),
            ("UPDATE withdrawals SET status = 'cancelled', finished_at = now() WHERE id = $1", withdrawal_id),
        ):
            assert changed_one(await connection.execute(statement, row_id))


@pytest.mark.parametrize("role", ["bank_webhook", "withdraw_worker"])
async def test_what_settles_credits_pays_and_reverses(
    world: World, fresh_sessionmaker: SessionMaker, role: str
) -> None:
    async with fresh_sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, world.asha, 700, status="pending")
        withdrawal = await create_withdrawal(session, world.shop, 100, status="in_flight")
    async with working_as(role, world) as connection:
        if role == "bank_webhook":
            await connection.execute(
                "INSERT INTO webhook_inbox (id, bank, webhook_id, payload, verdict, on_ramp_id, received_at)"
                " VALUES ($1, 'hdfc', 'msg_1', '{}', 'settled', $2, now())",
                *(new_id(), on_ramp.id),
            )
        credited = await post(connection, "onramp", HDFC, world.asha.id, 700)
        await connection.execute(
            "UPDATE on_ramps SET status = 'success', transfer_id = $2, settled_at = now() WHERE id = $1",
            *(on_ramp.id, credited),
        )
        paid = await post(connection, "payout", world.shop.id, HDFC, 100, released=100)
        await connection.execute(
            "UPDATE holds SET status = 'captured', transfer_id = $2, closed_at = now() WHERE id = $1",
            *(withdrawal.hold_id, paid),
        )
        await connection.execute(
            "UPDATE withdrawals SET status = 'succeeded', transfer_id = $2, finished_at = now() WHERE id = $1",
            *(withdrawal.id, paid),
        )
        await add_mail(connection, world.shop.owner_id)
    async with working_as(role, world) as connection:
        back = await post(connection, "payout_reversal", HDFC, world.shop.id, 100, reverses=paid)
        await connection.execute(
            "UPDATE withdrawals SET status = 'reversed', reversal_transfer_id = $2 WHERE id = $1",
            *(withdrawal.id, back),
        )


async def test_the_worker_mails_both_kinds_and_purges(world: World) -> None:
    owners = {"user_app": world.asha.owner_id, "merchant_app": world.shop.owner_id}
    for role, owner_id in owners.items():
        async with working_as(role, world) as connection:
            await connection.execute(
                "INSERT INTO pin_failures (id, owner_id, failed_at) VALUES ($1, $2, now() - interval '9 days')",
                *(new_id(), owner_id),
            )
    async with working_as("withdraw_worker", world) as connection:
        emails = await connection.fetch(
            "SELECT owner.email, coalesce(person.first_name, shop.business_name) AS name"
            " FROM unnest($1::uuid[]) AS taken (owner_id)"
            " LEFT JOIN owners owner ON owner.id = taken.owner_id"
            " LEFT JOIN users person ON person.id = taken.owner_id"
            " LEFT JOIN merchants shop ON shop.id = taken.owner_id",
            list(owners.values()),
        )
        assert all(row["email"] and row["name"] for row in emails)
        purged = "DELETE FROM pin_failures WHERE failed_at < now() - interval '1 day'"
        assert await connection.execute(purged) == f"DELETE {len(owners)}"
        for table in ("idempotency_keys", "revoked_tokens", "outbox_messages", "mails"):
            await connection.execute(f"DELETE FROM {table} WHERE false")


async def test_the_worker_leases_what_an_app_of_the_version_before_queued(world: World) -> None:
    async with working_as("user_app", world) as connection:
        withdrawal_id, _ = await queue_withdrawal(connection, world.asha)
    async with working_as("withdraw_worker", world) as connection:
        due = await connection.fetchrow(
            "SELECT account_number FROM withdrawals WHERE id = $1 FOR UPDATE SKIP LOCKED", withdrawal_id
        )
        assert due["account_number"] == "123456789012"
        status = await connection.execute(
            "UPDATE withdrawals SET status = 'in_flight', attempts = attempts + 1, lease_id = $2,"
            " lease_expires_at = now() + interval '1 minute', active_since = now() WHERE id = $1",
            *(withdrawal_id, new_id()),
        )
        assert changed_one(status)
