"""The version before serves while the next one migrates: no request fails.

The services of this checkout are the version before. The next one is a copy with one more migration, which does what
migrations do: add columns, a checked constraint, an index and a trigger to the tables that every payment writes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.demo.actors import PIN, Holder
from infra.local.layout import CHECKOUT
from infra.local.stack import Stack
from shared.ids import new_token
from shared.migrations.history import newest_revision
from tests.support.deadlines import deadline
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("system")]

HALF_WRITTEN = shutil.ignore_patterns("*.pyc.*", "*.compiled.*")
"""What another process compiles at this moment: it may be gone before it is copied."""
SENDERS = 6
AMOUNT = 1_00
WHEN_TOLD = 'print("ready", flush=True); input()'
"""What a command imports takes seconds, in which nothing migrates: it has it before the load begins."""
MIGRATE = f"""
import infra.cli.migrate
from infra.cli.main import app
{WHEN_TOLD}
app(["migrate"])
"""
UNDO = f"""
import os
from sqlalchemy.exc import DBAPIError
from shared.db.outages import is_rolled_back, waited_for_a_lock
from shared.migrations import runner
{WHEN_TOLD}
while True:
    try:
        runner.downgrade(os.environ["BATUA_DATABASE_URL"], "-1")
        break
    except DBAPIError as error:  # again, as an upgrade: payments go on, and lock the tables in another order
        if not (waited_for_a_lock(error) or is_rolled_back(error)):
            raise
"""
MIGRATION = '''
"""Do what migrations do, to the tables that every payment writes."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("shades", sa.Column("id", sa.Uuid(), primary_key=True))
    for table in ("accounts", "transfers", "entries", "idempotency_keys"):
        op.add_column(table, sa.Column("shade", sa.Uuid()), if_not_exists=True)
        op.execute(f"ALTER TABLE {{table}} DROP CONSTRAINT IF EXISTS shade_known")
        op.execute(f"ALTER TABLE {{table}} ADD CONSTRAINT shade_known FOREIGN KEY (shade) REFERENCES shades NOT VALID")
    with op.get_context().autocommit_block():
        for table in ("accounts", "transfers", "entries", "idempotency_keys"):
            op.execute(f"ALTER TABLE {{table}} VALIDATE CONSTRAINT shade_known")
            op.drop_index(f"ix_{{table}}_shade", table, if_exists=True, postgresql_concurrently=True)
            op.create_index(f"ix_{{table}}_shade", table, ["shade"], postgresql_concurrently=True)
        op.execute("CREATE OR REPLACE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        op.execute("CREATE OR REPLACE TRIGGER look AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION look()")


def downgrade():
    op.execute("DROP TRIGGER look ON transfers")
    op.execute("DROP FUNCTION look()")
    for table in ("accounts", "transfers", "entries", "idempotency_keys"):
        op.drop_column(table, "shade")
    op.drop_table("shades")
'''


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """The checkout with one more migration."""
    for folder in ("services", "shared", "infra"):  # with what is compiled: to do that again takes seconds
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=HALF_WRITTEN)
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    text = MIGRATION.format(head=newest_revision())
    (tmp_path / "shared/migrations/versions/9999_shade.py").write_text(text, encoding="utf-8")
    return tmp_path


def prepared(version: Path, stack: Stack, command: str) -> subprocess.Popen[str]:
    """A command of that version on the stack's database, which waits to be told."""
    process = subprocess.Popen(
        [sys.executable, "-c", command],
        cwd=version,
        env=os.environ | stack.environment() | {"PYTHONPATH": str(version)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert "ready\n" in process.stdout
    return process


def carry_out(command: subprocess.Popen[str]) -> None:
    printed, _ = command.communicate("\n", timeout=deadline(120))
    assert command.returncode == 0, printed


def test_no_request_fails_while_the_next_version_migrates(
    stack: Stack, next_version: Path, person: Callable[..., Holder], shop: Holder, prove: Callable[[], None]
) -> None:
    people = [person() for _ in range(SENDERS)]
    is_over = threading.Event()
    answers: Counter[int] = Counter()

    def send(who: Holder) -> int:
        sent = 0
        while not is_over.is_set():
            body = {"to": shop.wallet_id, "amount": AMOUNT, "pin": PIN}
            status = who.request("POST", "/transfers", json=body, headers={"Idempotency-Key": new_token()}).status_code
            answers[status] += 1
            sent += status == 201
            answers[who.request("GET", "/wallet").status_code] += 1
        return sent

    with (
        prepared(next_version, stack, MIGRATE) as migration,
        prepared(next_version, stack, UNDO) as undoing,
        ThreadPoolExecutor(SENDERS) as threads,
    ):
        senders = [threads.submit(send, who) for who in people]
        try:
            eventually(lambda: answers[201] > 10 * SENDERS, "payments go on")
            carry_out(migration)
            done = answers[201]
            eventually(lambda: answers[201] > done + 10 * SENDERS, "payments go on after it")
            carry_out(undoing)
        finally:
            is_over.set()
        sent = sum(sender.result() for sender in senders)
    assert answers.keys() == {200, 201}, answers
    assert shop.balance()["balance"] == sent * AMOUNT
    prove()
