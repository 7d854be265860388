"""What a command asks a person for: on standard error, because standard output is the answer's."""

from __future__ import annotations

import typer


def asked(given: str | None, what: str, *, is_secret: bool = False) -> str:
    """What the option gave, or else what the person types: a secret twice, and not shown."""
    if given is not None:
        return given
    typed: str = typer.prompt(what, hide_input=is_secret, confirmation_prompt=is_secret, err=True)
    return typed
