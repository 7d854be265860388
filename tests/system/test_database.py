"""How the database of a whole stack is set, and what it lets each service do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

import pytest

from infra.local.postgres import program
from infra.local.stack import Stack
from tests.support.deadlines import deadline

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("battered")]

APPLICATIONS = ("user_app", "merchant_app", "bank_webhook", "withdraw_worker")


@pytest.fixture(name="stack")
def stack_fixture(battered_stack: Stack) -> Stack:
    return battered_stack


def test_what_is_committed_is_on_the_disk(stack: Stack) -> None:
    assert [ask(stack, "batua", f"SHOW {setting}") for setting in ("fsync", "synchronous_commit")] == ["on", "on"]


def test_services_may_add_to_the_record_but_never_change_it(stack: Stack) -> None:
    money, seals = ("transfers", "entries", "holds"), ("ledger_seals", "ledger_seal_ranges")
    for role in APPLICATIONS:
        of_seals = {"bank_webhook": set(), "withdraw_worker": {"SELECT", "INSERT"}}.get(role, {"SELECT"})
        of_events = {"withdrawal_events": {"SELECT", "INSERT"}}
        allowed = {table: {"SELECT"} for table in money} | of_events | dict.fromkeys(seals, of_seals)
        assert privileges(stack, role, *money, *of_events, *seals) == allowed


def test_no_service_deletes_accounts_or_history(stack: Stack) -> None:
    tables = ("accounts", "holds", "withdrawals", "on_ramps", "webhook_inbox", "owners", "users", "merchants")
    for role in APPLICATIONS:
        purged = {"webhook_inbox"} if role == "withdraw_worker" else set()  # after five years, which a trigger checks
        for table, allowed in privileges(stack, role, *tables).items():
            assert ({"DELETE", "TRUNCATE"} & allowed) == ({"DELETE"} if table in purged else set()), table


@pytest.mark.parametrize("role", APPLICATIONS)
def test_no_service_makes_an_owner_or_an_account_another_one(stack: Stack, role: str) -> None:
    columns = (
        *(("owners", column) for column in ("id", "kind", "is_system")),
        *(("accounts", column) for column in ("id", "owner_id", "kind", "handle", "currency", "allow_negative")),
        *(("accounts", column) for column in ("balance", "held", "seq")),
        *(
            ("withdrawals", column)
            for column in (
                "owner_id",
                "account_id",
                "bank",
                "account_number",
                "account_number_encrypted",
                "ifsc",
                "amount",
            )
        ),
        *(("on_ramps", column) for column in ("owner_id", "account_id", "bank", "amount")),
    )
    assert allowed_columns(stack, role, "UPDATE", columns) == []


@pytest.mark.parametrize("role", APPLICATIONS)
def test_no_service_says_what_a_new_account_starts_with_or_signs_up_the_platform(stack: Stack, role: str) -> None:
    started_with = ("balance", "held", "seq", "sent_today", "allow_negative")
    columns = [("owners", "is_system"), *(("accounts", column) for column in started_with)]
    assert allowed_columns(stack, role, "INSERT", columns) == []


def test_a_table_that_is_new_can_be_read_by_the_services_and_nothing_else(stack: Stack) -> None:
    sql = "CREATE TABLE newcomer (id int)"
    assert ask(stack, "batua", sql) == "CREATE TABLE"
    try:
        assert privileges(stack, "user_app", "newcomer") == {"newcomer": {"SELECT"}}
        assert privileges(stack, "bank_webhook", "newcomer") == {"newcomer": set()}
    finally:
        ask(stack, "batua", "DROP TABLE newcomer")


@pytest.mark.parametrize("role", ["bank_webhook", "withdraw_worker"])
def test_services_without_sign_in_cannot_read_hashes_of_passwords_and_pins(stack: Stack, role: str) -> None:
    assert ask(stack, role, "SELECT count(email) >= 0 FROM owners") == "t"
    hashes = [("owners", "password_hash"), ("owners", "pin_hash")]
    assert allowed_columns(stack, role, "SELECT", hashes) == []
    assert allowed_columns(stack, "user_app", "SELECT", hashes) == hashes


def privileges(stack: Stack, role: str, *tables: str) -> dict[str, set[str]]:
    """What the role may do with each table as a whole."""
    kinds = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
    asked = [(table, kind) for table in tables for kind in kinds]
    answers = ask_all(stack, role, [f"has_table_privilege('{table}', '{kind}')" for table, kind in asked])
    allowed = [each for each, answer in zip(asked, answers, strict=True) if answer]
    return {table: {kind for of, kind in allowed if of == table} for table in tables}


def allowed_columns(stack: Stack, role: str, kind: str, columns: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the columns with which the role may do it."""
    asked = list(columns)
    answers = ask_all(stack, role, [f"has_column_privilege('{of}', '{column}', '{kind}')" for of, column in asked])
    return [each for each, answer in zip(asked, answers, strict=True) if answer]


def ask_all(stack: Stack, role: str, questions: list[str]) -> list[bool]:
    """In one query: to connect takes longer than to ask."""
    return [{"t": True, "f": False}[answer] for answer in ask(stack, role, f"SELECT {', '.join(questions)}").split("|")]


def ask(stack: Stack, role: str, query: str) -> str:
    answer = subprocess.run(
        [str(program("psql")), stack.database_url(role), "-Atc", query],
        capture_output=True,
        text=True,
        timeout=deadline(),
        check=True,
    )
    return answer.stdout.strip()
