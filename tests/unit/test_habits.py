"""Habits that a machine can check: short functions, short files, no module that only re-exports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.layout import CHECKOUT

CODE = ("services", "shared", "infra", "tests", "bench", "chaos", "drills")
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 400
MIGRATIONS = "shared/migrations/versions/"
"""Their functions are as long as the schema they make."""
GATHERED = {"shared/models/__init__.py"}
"""Importing it fills the metadata, so it names every table."""

SAYS_NOTHING = {"util", "utils", "helper", "helpers", "manager", "common", "misc", "service", "kit"}
"""Names of modules under which anything could be kept."""


def _python_files() -> list[Path]:
    return sorted(file for folder in CODE for file in (CHECKOUT / folder).rglob("*.py"))


def _too_long_functions(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"{node.name} has {lines} lines"


def _only_re_exports(source: str) -> bool:
    """Whether a module has imports, and besides them at most a docstring and `__all__`."""
    imports = rest = 0
    for node in ast.parse(source).body:
        match node:
            case ast.Import() | ast.ImportFrom(module=str()):
                imports += getattr(node, "module", None) != "__future__"
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                continue
            case _:
                rest += 1
    return imports > 0 and rest == 0


def test_no_function_is_long() -> None:
    files = [file for file in _python_files() if not _name(file).startswith(MIGRATIONS)]
    found = [f"{_name(file)}: {each}" for file in files for each in _too_long_functions(_text(file))]
    assert found == []


def test_no_file_is_long() -> None:
    lengths = {_name(file): len(_text(file).splitlines()) for file in _python_files()}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_every_module_is_named_after_what_it_holds() -> None:
    assert [_name(file) for file in _python_files() if SAYS_NOTHING & {file.stem, file.parent.name}] == []


def test_no_module_only_re_exports() -> None:
    ours = [file for file in _python_files() if _name(file).startswith(("services/", "shared/", "infra/"))]
    assert {_name(file) for file in ours if _only_re_exports(_text(file))} - GATHERED == set()


@pytest.mark.parametrize(
    ("source", "is_so"),
    [
        ('"""Doc."""\n', False),
        ("from __future__ import annotations\n", False),
        ("from shared.money import Money\n", True),
        ('"""Doc."""\nfrom shared.money import Money\n\n__all__ = ["Money"]\n', True),
        ("from shared.money import Money\n\nZERO = Money(0)\n", False),
    ],
)
def test_a_module_that_only_re_exports_is_found(source: str, is_so: bool) -> None:
    assert _only_re_exports(source) == is_so


def test_a_long_function_is_found() -> None:
    body = "    pass\n" * MAX_FUNCTION_LINES
    assert list(_too_long_functions(f"def long():\n{body}")) == [f"long has {MAX_FUNCTION_LINES + 1} lines"]


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _name(file: Path) -> str:
    return file.relative_to(CHECKOUT).as_posix()
