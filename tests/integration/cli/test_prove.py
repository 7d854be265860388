"""`batua prove` and `batua reconcile` as an operator meets them: words and exit codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from infra.cli import prove
from infra.cli.main import app
from shared import clock
from shared.banks import statements
from shared.banks.client import BankClient
from shared.banks.messages import Statement
from shared.banks.settings import BankEndpoint
from tests.support.bank_flows import BankMove, bank_statement

Run = Callable[..., Result]
NO_LISTENER = "http://127.0.0.1:9"


@pytest.fixture
def run(fresh_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("BATUA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BATUA_DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("COLUMNS", "200")
    for bank in ("HDFC", "AXIS"):
        monkeypatch.delenv(f"BATUA_BANK_{bank}_URL", raising=False)
        monkeypatch.delenv(f"BATUA_BANK_{bank}_API_KEY", raising=False)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.fixture
def with_banks(monkeypatch: pytest.MonkeyPatch) -> None:
    for bank in ("HDFC", "AXIS"):
        monkeypatch.setenv(f"BATUA_BANK_{bank}_URL", NO_LISTENER)
        monkeypatch.setenv(f"BATUA_BANK_{bank}_API_KEY", "key")


def statement_file(folder: Path, moves: list[BankMove], *, bare: bool = False) -> str:
    path = folder / "statement.json"
    dumped = json.loads(Statement(items=bank_statement(moves)).model_dump_json())
    path.write_text(json.dumps(dumped["items"] if bare else dumped))
    return str(path)


def test_a_ledger_that_holds_exits_0_and_says_what_was_looked_at(run: Run) -> None:
    result = run("prove", "--no-bank")
    assert result.exit_code == 0, result.output
    assert "The ledger holds" in result.output
    assert "5 accounts, 0 transfers, 0 entries" in result.output


def test_without_configured_banks_it_says_so_and_looks_at_our_books(run: Run) -> None:
    result = run("prove")
    assert result.exit_code == 0, result.output
    assert "No bank is configured" in result.output


def test_a_broken_ledger_exits_1_and_names_the_rows(run: Run, fresh_database_url: str) -> None:
    async def make_money() -> None:
        connection = await asyncpg.connect(fresh_database_url)
        await connection.execute("UPDATE accounts SET balance = 41 WHERE kind = 'fees'")
        await connection.close()

    asyncio.run(make_money())
    result = run("prove", "--no-bank")
    assert result.exit_code == 1
    assert "Broken: every cached balance is the sum of its entries" in result.output
    assert "41" in result.output
    assert "does NOT hold" in result.output
    listed = run("withdrawals", "list-review")
    assert "No payout leaves: the whole proof failed at" in listed.output
    assert "every cached balance is the sum of its entries" in listed.output


def test_a_bank_out_of_reach_exits_2_unless_left_out(run: Run, with_banks: None) -> None:
    result = run("prove")
    assert result.exit_code == 2
    assert "No statement from HDFC Bank" in result.output
    assert run("prove", "--no-bank").exit_code == 0


@pytest.mark.parametrize("bare", [True, False])
def test_a_statement_file_is_held_against_our_book(run: Run, tmp_path: Path, bare: bool) -> None:
    equal = run("prove", "--bank-statement", statement_file(tmp_path, [], bare=bare), "--bank", "hdfc")
    assert equal.exit_code == 0, equal.output
    stranger = statement_file(tmp_path, [("stranger", "CREDIT", 900)], bare=bare)
    result = run("prove", "--bank-statement", stranger, "--bank", "hdfc")
    assert result.exit_code == 1
    assert "unmatched_credit" in result.output
    assert "stranger" in result.output


def test_a_file_that_is_no_statement_exits_2(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "statement.json"
    path.write_text('{"items": [{"amount": 1.5}]}')
    assert run("prove", "--bank-statement", str(path), "--bank", "hdfc").exit_code == 2
    assert run("prove", "--bank-statement", str(tmp_path / "none.json"), "--bank", "hdfc").exit_code == 2
    assert run("prove", "--bank-statement", str(path)).exit_code == 2


def test_a_database_out_of_reach_exits_2(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATUA_DATABASE_URL", "postgresql://postgres@127.0.0.1:9/batua")
    result = run("prove", "--no-bank")
    assert result.exit_code == 2
    assert "cannot be reached" in result.output


def test_a_database_that_is_not_ours_or_not_named_exits_2(
    run: Run, monkeypatch: pytest.MonkeyPatch, empty_database_url: str
) -> None:
    monkeypatch.setenv("BATUA_DATABASE_URL", empty_database_url)
    assert run("prove", "--no-bank").exit_code == 2
    monkeypatch.delenv("BATUA_DATABASE_URL")
    result = run("prove", "--no-bank")
    assert result.exit_code == 2
    assert "BATUA_DATABASE_URL" in result.output


def test_reconciling_without_a_statement_exits_2_and_changes_nothing(run: Run, with_banks: None) -> None:
    result = run("reconcile", "--bank", "hdfc")
    assert result.exit_code == 2
    assert "Nothing was changed" in result.output
    assert run("reconcile", "--bank", "nobank").exit_code == 2


async def test_a_statement_too_long_for_one_answer_is_fetched_in_parts() -> None:
    items = bank_statement([(f"r{number}", "CREDIT", 1) for number in range(10)])

    def answer(request: httpx.Request) -> httpx.Response:
        start, end = (datetime.fromisoformat(request.url.params[name]) for name in ("from", "to"))
        found = [item for item in items if start <= item.at < end]
        if len(found) > 3:
            return httpx.Response(422, json={"code": statements.TOO_LONG, "message": "too long"})
        return httpx.Response(200, text=Statement(items=found).model_dump_json())

    bank = BankEndpoint(code="hdfc", name="HDFC Bank", url="http://bank.test", api_key=SecretStr("key"))
    client = BankClient(bank, 5, transport=httpx.MockTransport(answer))
    fetched = await statements.whole_statement(client, prove.BEGINNING, clock.now() + timedelta(days=1))
    await client.aclose()
    assert fetched == items
