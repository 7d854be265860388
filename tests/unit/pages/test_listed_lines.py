"""Lines of a statement are named by kind, signed, and grouped by the reader's days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from services.user_app.pages.receipts import from_side_of
from shared import clock
from shared.ledger.parties import Party
from shared.ledger.rules import Direction, TransferKind
from shared.ledger.statement import Line
from shared.pages.listed_lines import by_day
from shared.transfers.views import Receipt

MIDNIGHT_IN_INDIA = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
RAVI = Party("ravi@batua", "Ravi Sen")
POT = Party(None, "Goa trip")
OWN = Party("asha@batua", "Asha Rao")
CHAI = Party("chaipoint@batua", "Chai Point")
HDFC, BATUA = Party(None, "HDFC Bank"), Party(None, "Batua")


def line(
    kind: TransferKind = "p2p",
    direction: Direction = "CREDIT",
    party: Party = RAVI,
    at: datetime = MIDNIGHT_IN_INDIA,
    refunded: int = 0,
) -> Line:
    return Line(UUID(int=7), 1, direction, kind, 200_00, 500_00, party, "chai", at, given_back=refunded)


def a_receipt(kind: TransferKind, sender: Party, recipient: Party) -> Receipt:
    return Receipt(
        id=UUID(int=7),
        kind=kind,
        amount=200_00,
        currency="INR",
        sender=sender,
        recipient=recipient,
        note="chai",
        balance_after=None,
        created_at=MIDNIGHT_IN_INDIA,
    )


@pytest.mark.parametrize(
    ("kind", "direction", "party", "title"),
    [
        ("p2p", "DEBIT", RAVI, "Sent to Ravi Sen"),
        ("p2p", "CREDIT", RAVI, "Received from Ravi Sen"),
        ("p2p", "DEBIT", POT, "Moved to Goa trip"),
        ("p2p", "CREDIT", POT, "Moved from Goa trip"),
        ("p2p", "CREDIT", OWN, "Moved from your wallet"),
        ("payment", "DEBIT", CHAI, "Paid to Chai Point"),
        ("payment", "CREDIT", RAVI, "Paid by Ravi Sen"),
        ("refund", "CREDIT", CHAI, "Refunded by Chai Point"),
        ("onramp", "CREDIT", HDFC, "Added from HDFC Bank"),
        ("payout", "DEBIT", HDFC, "Withdrawn to HDFC Bank"),
        ("payout_reversal", "CREDIT", HDFC, "Sent back by HDFC Bank"),
        ("funding", "CREDIT", BATUA, "Added by Batua"),
    ],
)
def test_a_line_and_its_receipt_say_the_same_of_what_happened_to_their_reader(
    kind: TransferKind, direction: Direction, party: Party, title: str
) -> None:
    (day,) = by_day([line(kind, direction, party)], path="/transfers", own_wallet_id=OWN.wallet_id)
    assert (day.lines[0].title, day.lines[0].is_incoming) == (title, direction == "CREDIT")
    assert day.lines[0].path == f"/transfers/{UUID(int=7)}"
    mine = POT if party is OWN else OWN
    sender, recipient = (mine, party) if direction == "DEBIT" else (party, mine)
    receipt = a_receipt(kind, sender, recipient)
    if party is not OWN:  # a receipt tells of a pot from the side of the wallet
        assert from_side_of(OWN.wallet_id, receipt).title == title


def test_a_payment_out_of_a_pot_is_no_move_between_own_accounts() -> None:
    shown = from_side_of(OWN.wallet_id, a_receipt("p2p", POT, RAVI))
    assert (shown.side, shown.title) == ("sent", "Sent to Ravi Sen")


def test_lines_stand_under_the_days_of_their_readers_zone() -> None:
    lines = [line(at=MIDNIGHT_IN_INDIA), line(at=MIDNIGHT_IN_INDIA - timedelta(seconds=1))]
    with clock.reading(lambda: MIDNIGHT_IN_INDIA):
        assert [day.title for day in by_day(lines, path="/transfers")] == ["Today", "Yesterday"]
        assert [day.title for day in by_day(lines, path="/transfers", zone=ZoneInfo("UTC"))] == ["Today"]
