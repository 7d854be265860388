"""Write the documents that are made from code: `python -m infra.documentation [--check]`.

With `--check` it writes nothing, names those that are out of date and exits 1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import typer

from infra.documentation.configuration import configuration_page, example_file
from infra.documentation.openapi import openapi_documents
from infra.documentation.picture import architecture_picture
from infra.local.layout import CHECKOUT

GENERATED: Mapping[str, Callable[[], str]] = {
    "docs/configuration.md": configuration_page,
    ".env.example": example_file,
    **openapi_documents(),
    "docs/img/architecture.svg": architecture_picture,
}


def out_of_date() -> list[str]:
    """The generated documents that are missing or say something else than the code."""
    files = {name: CHECKOUT / name for name in GENERATED}
    return [
        name
        for name, file in files.items()
        if not file.exists() or file.read_text(encoding="utf-8") != GENERATED[name]()
    ]


def main() -> None:
    """Write the documents, or check them."""
    names = out_of_date()
    if "--check" in sys.argv[1:]:
        for name in names:
            typer.echo(f"{name} is out of date: run `make docs`", err=True)
        sys.exit(1 if names else 0)
    for name in names:
        (CHECKOUT / name).write_text(GENERATED[name](), encoding="utf-8")
        typer.echo(f"wrote {name}")


if __name__ == "__main__":
    main()
