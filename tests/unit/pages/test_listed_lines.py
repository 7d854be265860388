"""Lines of a statement are named by kind, signed, and grouped by the reader's days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from shared import clock
from shared.ledger.parties import Party
from shared.ledger.rules import Direction, TransferKind
from shared.ledger.statement import Line
from shared.pages.listed_lines import KINDS, by_day, title_of
from shared.transfers.statement_lines import StatementLine

MIDNIGHT_IN_INDIA = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
RAVI = Party("ravi@batua", "Ravi Sen")
POT = Party(None, "Goa trip")


def line(
    kind: TransferKind = "p2p",
    direction: Direction = "CREDIT",
    party: Party = RAVI,
    at: datetime = MIDNIGHT_IN_INDIA,
    refunded: int = 0,
) -> StatementLine:
    return StatementLine(Line(UUID(int=7), 1, direction, kind, 200_00, 500_00, party, "chai", at), refunded)


def test_every_kind_has_names() -> None:
    assert set(KINDS) == set(get_args(TransferKind))


@pytest.mark.parametrize(
    ("kind", "direction", "title"),
    [
        ("p2p", "DEBIT", "Sent"),
        ("p2p", "CREDIT", "Received"),
        ("payment", "DEBIT", "Paid"),
        ("payment", "CREDIT", "Payment"),
        ("onramp", "CREDIT", "Money added"),
        ("payout", "DEBIT", "Withdrawn"),
        ("payout_reversal", "CREDIT", "Reversed by the bank"),
    ],
)
def test_a_line_says_what_happened_to_its_reader(kind: TransferKind, direction: Direction, title: str) -> None:
    assert title_of(kind, is_incoming=direction == "CREDIT") == title
    (day,) = by_day([line(kind, direction)], path="/transfers")
    assert (day.lines[0].title, day.lines[0].is_incoming) == (title, direction == "CREDIT")
    assert day.lines[0].path == f"/transfers/{UUID(int=7)}"


def test_a_transfer_to_a_pot_stays_between_own_accounts() -> None:
    (day,) = by_day([line(party=POT, direction="DEBIT")], path="/transfers")
    assert (day.lines[0].title, day.lines[0].icon) == ("Moved between your accounts", "purse")


def test_lines_stand_under_the_days_of_their_readers_zone() -> None:
    lines = [line(at=MIDNIGHT_IN_INDIA), line(at=MIDNIGHT_IN_INDIA - timedelta(seconds=1))]
    with clock.reading(lambda: MIDNIGHT_IN_INDIA):
        assert [day.title for day in by_day(lines, path="/transfers")] == ["Today", "Yesterday"]
        assert [day.title for day in by_day(lines, path="/transfers", zone=ZoneInfo("UTC"))] == ["Today"]
