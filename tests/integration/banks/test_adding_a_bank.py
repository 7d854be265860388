"""A bank is added by an adapter, a line in the table and a migration: done here to a copy of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.layout import CHECKOUT
from shared.ids import new_token
from tests.conftest import ENGINE, POSTGRES, TEMPLATE
from tests.support.deadlines import SLOWNESS, deadline

HALF_WRITTEN = shutil.ignore_patterns("*.pyc.*")
"""What another process compiles at this moment: it may be gone before it is copied."""
KEPT = {POSTGRES, ENGINE, SLOWNESS}
ADAPTER = '''
"""Kotak's notices: a flat object that says what kind it is, amounts in paise."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from shared.banks.messages import Identifier, Received, ShortReason
from shared.banks.notices import (
    Notice, NoticePaise, PaymentNotice, PayoutNotice, ReasonIfReadable, read_message, write_message
)


class _Payment(Received):
    kind: Literal["payment"]
    outcome: Literal["success", "failure"]
    session: Identifier
    customer: Identifier
    paise: NoticePaise
    number: Identifier | None = None
    text: ReasonIfReadable = None


class _Payout(Received):
    kind: Literal["payout"]
    outcome: Literal["success", "failure", "reversed"]
    payout: Identifier
    paise: NoticePaise
    number: Identifier | None = None
    text: ShortReason | None = None


_reader: TypeAdapter[_Payment | _Payout] = TypeAdapter(Annotated[_Payment | _Payout, Field(discriminator="kind")])


def encode(notice: Notice) -> bytes:
    message: dict[str, Any] = {"outcome": notice.event, "paise": notice.amount, "text": notice.reason}
    if isinstance(notice, PaymentNotice):
        message |= {"kind": "payment", "session": notice.token, "customer": notice.user_id}
        return write_message({**message, "number": notice.bank_reference})
    return write_message(
        {**message, "kind": "payout", "payout": notice.reference, "number": notice.utr}
    )


def decode(bank: str, body: bytes) -> Notice:
    message = read_message(_reader, body)
    if isinstance(message, _Payment):
        return PaymentNotice(
            bank, message.outcome, message.session, message.customer, message.paise, message.number, message.text
        )
    return PayoutNotice(bank, message.outcome, message.payout, message.number, message.paise, message.text)
'''
LINE = '        Bank("kotak", "Kotak Bank", UUID("00000000-0000-7000-8000-000000000013"), "KKBK"),\n'
MIGRATION = '''
"""Open the settlement account of Kotak Bank."""

from alembic import op

revision = "add_kotak"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        INSERT INTO accounts (id, kind, name, currency, allow_negative, created_at)
        VALUES ('00000000-0000-7000-8000-000000000013', 'bank_settlement', 'kotak', 'INR', true, now())
    """)


def downgrade() -> None:
    op.execute("DELETE FROM accounts WHERE id = '00000000-0000-7000-8000-000000000013'")
'''
WHAT_A_BANK_MUST_PASS = (
    "tests/unit/banks/test_table.py",
    "tests/unit/banks/test_adapters.py",
    "tests/unit/banks/test_settings.py",
    "tests/integration/db/test_migrations.py",
    "tests/integration/bank_webhook/test_with_dummy_bank.py",
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The checkout with a third bank in it."""
    for folder in ("services", "shared", "infra", "tests"):  # with what is compiled: to do that again takes seconds
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=HALF_WRITTEN)
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    (tmp_path / "shared/banks/kotak.py").write_text(ADAPTER, encoding="utf-8")
    table = tmp_path / "shared/banks/table.py"
    text, lines = re.subn(
        r"(^ +Bank\(\"axis\".*\n)", r"\1" + LINE, table.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert lines == 1
    table.write_text(text, encoding="utf-8")
    versions = tmp_path / "shared/migrations/versions"
    head = max(file.name for file in versions.glob("0*.py"))[:4]
    (versions / "9999_open_kotak.py").write_text(MIGRATION.format(head=head), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_an_adapter_a_line_and_a_migration_are_all_it_takes(copy: Path) -> None:
    # On the Postgres of this run, with a template of its own: that of this run has the checkout's migrations.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BATUA_") or name in KEPT}
    outer = kept | {TEMPLATE: f"batua_template_{new_token(4).lower()}"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-v", "-p", "no:cacheprovider", *WHAT_A_BANK_MUST_PASS],
        cwd=copy,
        env=outer,
        capture_output=True,
        text=True,
        timeout=deadline(100),
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    passed = set(re.findall(r"^\S+::test_what_the_person_decides\w+(\[\S+\]) PASSED", run.stdout, flags=re.MULTILINE))
    assert {"[faults0-approve-kotak]", "[faults0-decline-kotak]"} <= passed
