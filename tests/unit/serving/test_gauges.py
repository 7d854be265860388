"""Processes that share a port count together; a gauge must say how, and must forget processes that ended."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from infra.local.layout import CHECKOUT

SHARING = ("shared", "services/user_app", "services/merchant_app", "services/bank_webhook")


def gauges() -> Iterator[tuple[str, ast.Call]]:
    for folder in SHARING:
        for file in (CHECKOUT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Gauge":
                    yield f"{file.relative_to(CHECKOUT)}:{node.lineno}", node


def mode_of(call: ast.Call) -> str:
    values = [word.value for word in call.keywords if word.arg == "multiprocess_mode"]
    return str(values[0].value) if values and isinstance(values[0], ast.Constant) else ""


def test_every_gauge_forgets_processes_that_ended() -> None:
    assert [place for place, call in gauges() if not mode_of(call).startswith("live")] == []
