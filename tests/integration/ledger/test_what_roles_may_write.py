"""What a service's role cannot do to money: each attempt as each role, with the error that Postgres answers.

`pytest -s` prints the table of roles, attempts and errors.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from infra.postgres.roles import SERVICE_ROLES
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import Account, OnRamp, Withdrawal
from tests.support.bank_flows import create_on_ramp, create_withdrawal
from tests.support.factories import create_merchant, create_user
from tests.support.service_roles import Call, connected, grant, posting

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

HDFC, AXIS = system_accounts.SETTLEMENT["hdfc"], system_accounts.SETTLEMENT["axis"]
NO_RIGHT, CHECK = "42501", "23514"
UNEXPLAINED = "nothing explains transfer"
NOT_SO = "not every account is open, of the currency, and one that"
NO_ON_RAMP = "no on-ramp and credit of one bank, account and amount"
NO_WITHDRAWAL = "no withdrawal and hold of one account, amount and state"
KINDS = ("p2p", "payment", "onramp", "payout", "payout_reversal", "funding", "adjustment", "refund")
FLOWS = {
    "user_app": {"p2p", "payment", "funding", "onramp"},
    "merchant_app": {"p2p", "payment", "refund"},
    "bank_webhook": {"onramp", "payout", "payout_reversal"},
    "withdraw_worker": {"onramp", "payout", "payout_reversal", "adjustment"},
}


@dataclass(frozen=True)
class World:
    """What there is to forge with. All but `bob` and `shop` is Alice's; she paid the shop 300."""

    url: str
    alice: Account
    bob: Account
    shop: Account
    payment: UUID
    pending: OnRamp
    paid: OnRamp
    queued: Withdrawal
    at_bank: Withdrawal
    succeeded: Withdrawal


@dataclass(frozen=True)
class Attempt:
    """Statements of one transaction, and the error that ends it."""

    name: str
    statements: Sequence[Call | str]
    sqlstate: str
    message: str


@pytest.fixture
async def world(fresh_database_url: str, fresh_sessionmaker: SessionMaker) -> World:
    await grant(fresh_database_url)
    async with fresh_sessionmaker.begin() as session:
        alice, bob = await create_user(session, balance=10_000), await create_user(session, balance=50)
        shop = await create_merchant(session, balance=10_000)
        payment = Transfer(new_id(), "payment", alice.id, shop.id, 300)
        await post_one(session, payment)
        return World(
            fresh_database_url,
            alice,
            bob,
            shop,
            payment.id,
            await create_on_ramp(session, alice, 500, status="pending"),
            await create_on_ramp(session, alice, 700),
            await create_withdrawal(session, alice, 1_000, status="queued"),
            await create_withdrawal(session, alice, 1_500, status="unknown"),
            await create_withdrawal(session, alice, 2_000),
        )


def moved(kind: str, debited: Account | UUID, credited: Account | UUID, amount: int = 10, **more: Any) -> Call:
    """One transfer; of two people's accounts it is the debited one's owner who initiates it, unless told otherwise."""
    more.setdefault("the_initiator", debited.owner_id if isinstance(debited, Account) else None)
    ends = [end.id if isinstance(end, Account) else end for end in (debited, credited)]
    return posting(
        **{"ids": [new_id()], **more}, amounts=[amount], the_kind=kind, the_debited=ends[0], the_credited=ends[1]
    )


def settled(on_ramp: OnRamp, transfer_id: UUID) -> Call:
    statement = "UPDATE on_ramps SET status = 'success', transfer_id = $2, settled_at = now() WHERE id = $1"
    return statement, (on_ramp.id, transfer_id)


def ended(withdrawal: Withdrawal, status: str, transfer_id: UUID | None = None) -> Call:
    if transfer_id is None:
        return "UPDATE withdrawals SET status = $2, finished_at = now() WHERE id = $1", (withdrawal.id, status)
    statement = "UPDATE withdrawals SET status = $2, transfer_id = $3, finished_at = now() WHERE id = $1"
    return statement, (withdrawal.id, status, transfer_id)


def without_rights() -> list[Attempt]:
    """What no role has the right to do, whatever the rows."""
    denied = [
        *(f"UPDATE accounts SET {change}" for change in ("balance = balance + 1", "held = 0", "seq = 0")),
        "UPDATE accounts SET allow_negative = true",
        "INSERT INTO accounts (id, kind, name, currency, balance) VALUES (gen_random_uuid(), 'fees', 'mine', 'INR', 1)",
        *(f"INSERT INTO {table} SELECT * FROM {table}" for table in ("transfers", "entries", "holds")),
        *(f"UPDATE {table} SET amount = 1" for table in ("transfers", "entries", "holds", "on_ramps", "withdrawals")),
        "UPDATE holds SET status = 'released', closed_at = now()",
        "UPDATE on_ramps SET account_id = gen_random_uuid()",
        "UPDATE withdrawals SET hold_id = gen_random_uuid()",
        *(f"DELETE FROM {table}" for table in ("accounts", "transfers", "entries", "holds", "on_ramps", "withdrawals")),
        *(f"TRUNCATE {table} CASCADE" for table in ("accounts", "transfers", "entries", "holds", "on_ramps")),
        "SELECT check_transfer()",
    ]
    owned = [
        "ALTER TABLE accounts DISABLE TRIGGER ALL",
        "ALTER TABLE transfers DISABLE TRIGGER check_transfer",
        "DROP TRIGGER check_withdrawal ON holds",
        "DROP FUNCTION check_transfer CASCADE",
        "ALTER FUNCTION post_to_ledger OWNER TO CURRENT_USER",
        "ALTER FUNCTION post_to_ledger RESET ALL",
    ]
    return [
        *(Attempt(statement, [statement], NO_RIGHT, "permission denied for ") for statement in denied),
        *(Attempt(statement, [statement], NO_RIGHT, "must be owner of ") for statement in owned),
        Attempt("triggers off", ["SET session_replication_role = replica"], NO_RIGHT, "permission denied to set"),
        Attempt("another role", ["SET ROLE postgres"], NO_RIGHT, "permission denied to set role"),
        Attempt(
            "another session", ["SET SESSION AUTHORIZATION postgres"], NO_RIGHT, "permission denied to set session"
        ),
    ]


def kinds_of_others(role: str) -> list[Attempt]:
    """Every kind that none of the role's flows writes, said once for all and said per transfer."""
    found = []
    for kind in sorted(set(KINDS) - FLOWS[role]):
        message = rf"^{role} may not write a transfer of the kinds \{{{kind}\}}$"
        once = moved(kind, system_accounts.FUNDING, system_accounts.FEES)
        each = posting(ids=[new_id()], amounts=[1], debited=[HDFC], credited=[system_accounts.SUSPENSE], kinds=[kind])
        found.append(Attempt(f"a {kind}", [once], NO_RIGHT, message))
        found.append(Attempt(f"a {kind}, in a list", [each], NO_RIGHT, message))
    return found


def forged_between_owners(world: World) -> list[Attempt]:
    """What an app cannot make of its own kinds. `withdraw_worker` and `bank_webhook` have none of these."""
    alice, bob, shop = world.alice, world.bob, world.shop
    funding = system_accounts.FUNDING
    hold: dict[str, Any] = {"placed": [new_id()], "placed_on": [alice.id], "placed_amounts": [10]}
    return [
        Attempt("money of the platform", [moved("p2p", funding, alice)], CHECK, NOT_SO),
        Attempt("money of a bank", [moved("payment", HDFC, shop)], CHECK, NOT_SO),
        Attempt("initiated by another", [moved("p2p", alice, bob, the_initiator=bob.owner_id)], CHECK, NOT_SO),
        Attempt("initiated by no one", [moved("p2p", alice, bob, the_initiator=None)], CHECK, NOT_SO),
        Attempt("a p2p to a shop", [moved("p2p", alice, shop)], CHECK, NOT_SO),
        Attempt("a payment to a person", [moved("payment", alice, bob)], CHECK, NOT_SO),
        Attempt("another currency", [moved("p2p", alice, bob, the_currency="USD")], CHECK, NOT_SO),
        Attempt("to no account", [moved("p2p", alice, new_id())], "23503", "fk_transfers_credit_account_id"),
        Attempt("more than there is", [moved("p2p", bob, alice, 51)], CHECK, "ck_accounts_floor"),
        Attempt("more than is free of holds", [moved("p2p", alice, bob, 8_300)], CHECK, "ck_accounts_floor"),
        Attempt("a negative amount", [moved("p2p", alice, bob, -10)], CHECK, "amount_positive"),
        Attempt("to itself", [moved("p2p", alice, alice)], CHECK, "ck_transfers_two_accounts"),
        Attempt("a p2p as a reversal", [moved("p2p", alice, bob, the_original=world.payment)], CHECK, UNEXPLAINED),
        Attempt("a hold for nothing", [posting(**hold)], CHECK, NO_WITHDRAWAL),
        Attempt("a hold of the platform", [posting(**hold | {"placed_on": [funding]})], CHECK, "an open account of an"),
        Attempt("a hold released", [posting(released=[world.queued.hold_id])], CHECK, NO_WITHDRAWAL),
        Attempt("cancelled, still held", [ended(world.queued, "cancelled")], CHECK, NO_WITHDRAWAL),
        *ended_by_an_app(world),
        Attempt("a hold ended twice", [posting(released=[world.succeeded.hold_id])], CHECK, "not each is active"),
        Attempt("one hold, named twice", [posting(released=[world.queued.hold_id] * 2)], CHECK, "not each is active"),
    ]


def ended_by_an_app(world: World) -> list[Attempt]:
    """An app that releases what a bank may have, or has it sent again, pays the owner and the bank's customer."""
    message = "cancels withdrawals in the queue and ends no other"
    at_bank, queued = world.at_bank, world.queued
    release = posting(released=[at_bank.hold_id])
    denied = ("next_attempt_at = now()", "lease_expires_at = now()", "attempts = 0", "ask_bank_first = false")
    return [
        *(
            Attempt(f"{status}, at the bank", [release, ended(at_bank, status)], CHECK, message)
            for status in ("failed", "cancelled")
        ),
        Attempt("failed in the queue", [posting(released=[queued.hold_id]), ended(queued, "failed")], CHECK, message),
        *(
            Attempt(
                f"{status} again",
                [(f"UPDATE withdrawals SET status = '{status}' WHERE id = $1", (at_bank.id,))],
                CHECK,
                message,
            )
            for status in ("waiting", "queued")
        ),
        *(
            Attempt(change, [f"UPDATE withdrawals SET {change}"], NO_RIGHT, "permission denied for ")
            for change in denied
        ),
    ]


def forged_by_user_app(world: World) -> list[Attempt]:
    alice, bob = world.alice, world.bob
    funding = system_accounts.FUNDING
    return [
        Attempt("funds for nothing", [moved("funding", funding, alice)], CHECK, UNEXPLAINED),
        Attempt("funds by a person", [moved("funding", funding, bob, the_initiator=bob.owner_id)], CHECK, UNEXPLAINED),
        Attempt("funds of a person", [moved("funding", alice, bob)], CHECK, NOT_SO),
    ]


def forged_by_merchant_app(world: World) -> list[Attempt]:
    alice, bob, shop = world.alice, world.bob, world.shop
    of: dict[str, Any] = {"the_original": world.payment}
    return [
        Attempt("a refund of nothing", [moved("refund", shop, alice)], CHECK, UNEXPLAINED),
        Attempt("a refund to another", [moved("refund", shop, bob, **of)], CHECK, UNEXPLAINED),
        Attempt("a refund of more", [moved("refund", shop, alice, 301, **of)], CHECK, "reversed_within_amount"),
        Attempt("a refund of a person", [moved("refund", alice, shop, **of)], CHECK, NOT_SO),
        Attempt(
            "a refund by another", [moved("refund", shop, alice, the_initiator=alice.owner_id, **of)], CHECK, NOT_SO
        ),
    ]


def forged_on_ramps(world: World) -> list[Attempt]:
    alice, bob, one = world.alice, world.bob, new_id()
    named: dict[str, Any] = {"ids": [one], "the_initiator": None}
    credit, row = moved("onramp", HDFC, alice, 500, **named), settled(world.pending, one)
    changed = [moved("onramp", HDFC, alice, 700, **named), settled(world.paid, one)]
    late = ["SET CONSTRAINTS ALL IMMEDIATE", "UPDATE on_ramps SET status = 'failure', transfer_id = NULL"]
    return [
        Attempt("a credit for nothing", [credit], CHECK, NO_ON_RAMP),
        Attempt("a credit of more", [moved("onramp", HDFC, alice, 501, **named), row], CHECK, NO_ON_RAMP),
        Attempt("a credit to another", [moved("onramp", HDFC, bob, 500, **named), row], CHECK, NO_ON_RAMP),
        Attempt("a credit of another bank", [moved("onramp", AXIS, alice, 500, **named), row], CHECK, NO_ON_RAMP),
        Attempt("a credit of the platform", [moved("onramp", system_accounts.FUNDING, alice, 500)], CHECK, NOT_SO),
        Attempt("two credits for one", [credit, row, moved("onramp", HDFC, alice, 500)], CHECK, NO_ON_RAMP),
        Attempt("an on-ramp settled again", changed, CHECK, "the transfer of an on-ramp never changes"),
        Attempt("settled without a credit", [settled(world.pending, world.payment)], CHECK, NO_ON_RAMP),
        Attempt("a check made too early", [credit, row, *late], CHECK, "the transfer of an on-ramp never changes"),
    ]


def forged_payouts(world: World) -> list[Attempt]:
    alice, queued, one = world.alice, world.queued, new_id()
    named: dict[str, Any] = {"ids": [one], "captured": [queued.hold_id]}
    capture, row = moved("payout", alice, HDFC, 1_000, **named), ended(queued, "succeeded", one)
    back: dict[str, Any] = {"the_original": world.succeeded.transfer_id, "the_initiator": alice.owner_id, "ids": [one]}
    reversed_row: Call = (
        "UPDATE withdrawals SET status = 'reversed', reversal_transfer_id = $2 WHERE id = $1",
        (world.succeeded.id, one),
    )
    mismatch = "a hold becomes a transfer of its own amount from its own account"
    differ = r"withdrawal .* and payout .* differ"
    returned = r"withdrawal .* and reversal .* differ"
    return [
        Attempt("a payout of more", [moved("payout", alice, HDFC, 1_001, **named), row], CHECK, mismatch),
        Attempt("a payout of less", [moved("payout", alice, HDFC, 999, **named), row], CHECK, mismatch),
        Attempt("from another", [moved("payout", world.shop, HDFC, 1_000, **named), row], CHECK, mismatch),
        Attempt(
            "a payout without its hold", [moved("payout", alice, HDFC, 1_000, ids=[one]), row], CHECK, NO_WITHDRAWAL
        ),
        Attempt("a payout without its row", [capture], CHECK, NO_WITHDRAWAL),
        Attempt("to another bank", [moved("payout", alice, AXIS, 1_000, **named), row], CHECK, differ),
        Attempt("to a person", [moved("payout", alice, world.bob, 1_000, **named), row], CHECK, NOT_SO),
        Attempt("paid twice", [capture, row, moved("payout", alice, HDFC, 1_000)], CHECK, NO_WITHDRAWAL),
        Attempt("settled without a payout", [ended(queued, "succeeded", world.payment)], CHECK, NO_WITHDRAWAL),
        Attempt("released while queued", [posting(released=[queued.hold_id])], CHECK, NO_WITHDRAWAL),
        Attempt("failed, still held", [ended(queued, "failed")], CHECK, NO_WITHDRAWAL),
        Attempt("queued again", [ended(world.succeeded, "queued")], CHECK, "ck_withdrawals_finished_when_final"),
        Attempt("a return for nothing", [moved("payout_reversal", HDFC, alice, 2_000, **back)], CHECK, NO_WITHDRAWAL),
        Attempt("a return of less", [moved("payout_reversal", HDFC, alice, 9, **back), reversed_row], CHECK, returned),
        Attempt(
            "a return to another",
            [moved("payout_reversal", HDFC, world.bob, 2_000, **back), reversed_row],
            CHECK,
            f"{returned}|{UNEXPLAINED}",
        ),
        Attempt(
            "a hold", [posting(placed=[new_id()], placed_on=[alice.id], placed_amounts=[1])], NO_RIGHT, "may not place"
        ),
    ]


def sent_by_a_notice(world: World) -> list[Attempt]:
    """What would have a payout sent, or sent again, without the worker's rules."""
    again = "UPDATE withdrawals SET status = $2 WHERE id = $1"
    return [
        *(
            Attempt(f"{status} by a notice", [(again, (world.at_bank.id, status))], CHECK, "has no payout sent")
            for status in ("queued", "waiting", "in_flight")
        ),
        *(
            Attempt(change, [f"UPDATE withdrawals SET {change}"], NO_RIGHT, "permission denied for ")
            for change in ("ask_bank_first = false", "attempts = 0", "active_since = now()")
        ),
    ]


def forged_adjustments(world: World) -> list[Attempt]:
    suspense = system_accounts.SUSPENSE
    return [
        Attempt("parked for nothing", [moved("adjustment", HDFC, suspense, the_note="stray")], CHECK, UNEXPLAINED),
        Attempt("taken from suspense", [moved("adjustment", suspense, HDFC)], CHECK, UNEXPLAINED),
        Attempt("moved between banks", [moved("adjustment", HDFC, AXIS, the_note="stray")], CHECK, UNEXPLAINED),
        Attempt("adjusted for a person", [moved("adjustment", HDFC, world.alice)], CHECK, NOT_SO),
        # what operators do, two of them, and no service
        Attempt("collected from a person", [moved("adjustment", world.alice, suspense)], CHECK, NOT_SO),
        Attempt("collected from a shop", [moved("adjustment", world.shop, suspense)], CHECK, NOT_SO),
        Attempt("booked as a fee", [moved("adjustment", system_accounts.FEES, suspense)], CHECK, NOT_SO),
        Attempt("confirmed by a service", ["UPDATE operator_actions SET decision = 'confirmed'"], NO_RIGHT, "denied"),
    ]


def attempts(role: str, world: World) -> list[Attempt]:
    found = without_rights() + kinds_of_others(role)
    match role:
        case "user_app":
            return found + forged_between_owners(world) + forged_by_user_app(world) + forged_on_ramps(world)
        case "merchant_app":
            return found + forged_between_owners(world) + forged_by_merchant_app(world)
        case "bank_webhook":
            return found + forged_on_ramps(world) + forged_payouts(world) + sent_by_a_notice(world)
        case _:
            return found + forged_on_ramps(world) + forged_payouts(world) + forged_adjustments(world)


async def outcome_of(connection: asyncpg.Connection, attempt: Attempt) -> tuple[str, str]:
    """SQLSTATE and message of the error that ended the transaction; nothing if it was committed."""
    try:
        async with connection.transaction():
            for statement in attempt.statements:
                text, arguments = (statement, ()) if isinstance(statement, str) else statement
                await connection.execute(text, *arguments)
    except asyncpg.PostgresError as error:
        return error.sqlstate or "", str(error)
    return "", "committed"


@pytest.mark.parametrize("role", SERVICE_ROLES)
async def test_a_role_cannot_write_what_its_flows_do_not(world: World, role: str) -> None:
    listed, wrong = attempts(role, world), []
    async with connected(world.url, role) as connection:
        for attempt in listed:
            sqlstate, message = await outcome_of(connection, attempt)
            print(f"{role:16} {attempt.name[:60]:60} {sqlstate} {message}")
            if sqlstate != attempt.sqlstate or not re.search(attempt.message, message):
                wrong.append((attempt.name, sqlstate, message))
    assert wrong == []


async def test_arrays_that_do_not_belong_together_change_nothing(world: World) -> None:
    """A held amount changes by the holds that are written, and a balance by its entries, whatever arrays are given."""
    calls = [
        posting(placed_on=[world.alice.id], placed_amounts=[-1_000]),
        posting(placed=None, placed_on=[world.alice.id], placed_amounts=[-1_000]),
        posting(amounts=[10], the_kind="p2p", the_debited=world.bob.id, the_credited=world.alice.id),
        posting(ids=None, amounts=[10], the_kind="p2p", the_debited=world.bob.id, the_credited=world.alice.id),
        posting(ids=[new_id()], amounts=[None], the_kind="p2p", the_debited=world.bob.id, the_credited=world.alice.id),
        posting(**dict.fromkeys(("ids", "amounts", "kinds", "placed", "released", "captured", "counted"))),
    ]
    balances = "SELECT id, balance, held, seq FROM accounts ORDER BY id"
    async with connected(world.url, "user_app") as connection:
        before = await connection.fetch(balances)
        for statement, arguments in calls:
            with contextlib.suppress(asyncpg.PostgresError):
                await connection.execute(statement, *arguments)
        assert await connection.fetch(balances) == before
