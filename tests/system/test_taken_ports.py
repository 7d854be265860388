"""A port that is taken between the look whether it is free and the start of our process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local.ports import PortInUse
from infra.local.stack import Stack
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_a_port_that_another_stack_took_while_this_one_started_is_named_as_taken(
    tmp_path: Path, free_port_base: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = free_port_base()
    first = Stack(tmp_path / "one", base)
    first.start({"postgres"})
    try:
        monkeypatch.setattr("infra.local.stack.require_free_ports", lambda *_: None)
        with pytest.raises(PortInUse, match=f"port {base + 32}, which postgres needs, is already in use"):
            Stack(tmp_path / "other", base).start({"postgres"})
        eventually(lambda: first.is_ready("postgres"), "the first one answers")
    finally:
        first.stop()
