"""`batua keys`: replace a secret while everything runs, one step at a time.

Each secret that can be replaced is a list: processes accept what any of its entries made, and make with the first. So a
new entry is added at the end, and every process knows it before one uses it.
"""

from __future__ import annotations

import base64
import os
import secrets
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.audit import record_command
from infra.cli.database import in_transaction
from infra.cli.failures import exit_with
from infra.cli.output import AsJson, show
from infra.local.environment import load_local_environment
from infra.local.secrets import read_secrets, write_secrets
from shared.banks.table import BANKS
from shared.models import Withdrawal

app = typer.Typer(name="keys", help="Replace secrets while everything runs.", no_args_is_help=True)

TOKEN = "token"  # noqa: S105 - a name
ACCOUNT_NUMBERS = "account-numbers"
_VARIABLES = {
    TOKEN: "BATUA_TOKEN_KEYS",
    ACCOUNT_NUMBERS: "BATUA_ACCOUNT_NUMBER_KEYS",
    **{f"webhook-{code}": f"BATUA_BANK_{code.upper()}_WEBHOOK_SECRETS" for code in BANKS},
}


class Step(StrEnum):
    """What becomes of the list."""

    ADD = "add"
    """A new one at the end: it is accepted, and not used yet."""
    USE = "use"
    """The last one comes first: it is used."""
    DROP = "drop"
    """The last one goes: what it made is accepted no longer."""


_NEXT = {
    Step.ADD: "Restart all services that have it. Then: batua keys rotate {which} use",
    Step.USE: "Restart all services that have it. {then}Later: batua keys rotate {which} drop",
    Step.DROP: "Restart all services that have it.",
}
_THEN = {
    TOKEN: "Sessions that the old one signed go on until they end. ",
    ACCOUNT_NUMBERS: "Run batua encrypt-account-numbers, and wait a week: idempotency keys last so long. ",
}
_OF_BANK = "Agree with the bank that it signs with the new one. "
Which = Annotated[str, typer.Argument(metavar="WHICH", help=f"One of {', '.join(_VARIABLES)}.")]
ReadFile = Annotated[
    Path | None, typer.Option("--file", help="Read these KEY=value lines, not the environment.", dir_okay=False)
]
ChangedFile = Annotated[
    Path | None, typer.Option("--file", help="Change these KEY=value lines, and print no secret.", dir_okay=False)
]


@app.command("list")
def list_keys(file: ReadFile = None, as_json: AsJson = False) -> None:
    """Say how many entries each list has, never what they are; of account numbers also how many rows each wrote."""
    load_local_environment()
    values = _values(file)
    counts = {which: len(_entries(values.get(variable, ""))) for which, variable in _VARIABLES.items()}
    ids = [entry.partition(":")[0] for entry in _entries(values.get(_VARIABLES[ACCOUNT_NUMBERS], ""))]
    written = in_transaction(_rows_by_key, name="batua keys")
    rows = {key_id: written.get(key_id, 0) for key_id in dict.fromkeys([*ids, *written])}
    lines = [f"{which}: {count}" for which, count in counts.items()]
    lines += [f"account numbers encrypted with key {key_id}: {count}" for key_id, count in rows.items()]
    show({"entries": counts, "account_numbers_by_key": rows}, lines, as_json=as_json)


@app.command("rotate")
def rotate(
    which: Which,
    step: Annotated[Step, typer.Argument(help="`add` a new one, `use` it, `drop` the old one: in this order.")],
    file: ChangedFile = None,
    as_json: AsJson = False,
) -> None:
    """Take one step of replacing a secret, and say what comes next. Without --file it prints the list's new value."""
    if which not in _VARIABLES:
        raise typer.BadParameter(f"there is {', '.join(_VARIABLES)}")
    load_local_environment()
    values, variable = _values(file), _VARIABLES[which]
    entries = _entries(values.get(variable, ""))
    if not entries:
        raise exit_with(f"{variable} is not set.")
    new = ",".join(_after(which, step, entries))
    record_command("keys rotate", which=which, step=step)
    if file is not None:
        write_secrets(file, values | {variable: new})
    told = _NEXT[step].format(which=which, then=_THEN.get(which, _OF_BANK))
    typer.echo(told, err=True)
    answer: dict[str, Any] = {"which": which, "step": step, "variable": variable, "next": told}
    answer |= {"file": str(file)} if file is not None else {"value": new}
    show(answer, [] if file is not None else [f"{variable}={new}"], as_json=as_json)


def _after(which: str, step: Step, entries: list[str]) -> list[str]:
    """The list after this step. Ends the command where the step would lose something."""
    match step:
        case Step.ADD:
            return [*entries, _new(which, entries)]
        case Step.USE if len(entries) > 1:
            return [entries[-1], *entries[:-1]]
        case Step.DROP if len(entries) > 1:
            _require_unused(which, entries[-1])
            return entries[:-1]
    raise exit_with(f"There is only one entry: begin with batua keys rotate {which} add")


def _require_unused(which: str, entry: str) -> None:
    key_id = entry.partition(":")[0]
    if which != ACCOUNT_NUMBERS:
        return
    left = in_transaction(_rows_by_key, name="batua keys").get(key_id, 0)
    if left:
        raise exit_with(f"{left} account numbers are encrypted with key {key_id}: run batua encrypt-account-numbers.")


def _new(which: str, entries: list[str]) -> str:
    if which == TOKEN:
        return secrets.token_urlsafe(32)
    if which == ACCOUNT_NUMBERS:
        return f"{_unused_id(entries)}:{secrets.token_urlsafe(32)}"
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _unused_id(entries: list[str]) -> str:
    """A number above every one that a key has, or a row was written under."""
    written = in_transaction(_rows_by_key, name="batua keys")
    used = {entry.partition(":")[0] for entry in entries} | written.keys()
    return str(max((int(each) for each in used if each.isdecimal()), default=0) + 1)


async def _rows_by_key(session: AsyncSession) -> dict[str, int]:
    key_id = func.split_part(Withdrawal.account_number_encrypted, ":", 1)
    statement = select(key_id, func.count()).where(Withdrawal.account_number_encrypted.is_not(None)).group_by(key_id)
    return {row[0]: row[1] for row in await session.execute(statement.order_by(key_id))}


def _values(file: Path | None) -> dict[str, str]:
    if file is None:
        return dict(os.environ)
    if not file.is_file():
        raise exit_with(f"{file} is not a file.")
    return read_secrets(file)


def _entries(value: str) -> list[str]:
    return [entry.strip() for entry in value.split(",") if entry.strip()]
