"""What an operator copies from a table of the command line."""

from __future__ import annotations

import pytest

from infra.cli.recovery import _show_settled
from shared.recovery.settling import BankReport, Result, Settled

REFERENCE = "88d21a65-b9e0-4e1e-b10a-14b45f4d5c25"


def test_a_narrow_terminal_cuts_nothing_off_a_reference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    settled = Settled("hdfc", REFERENCE, "DEBIT", 100_00, Result.PARKED, "our book has its payout already")
    _show_settled([BankReport("hdfc", [settled])])
    assert REFERENCE in capsys.readouterr().out
