"""The platform's own accounts. Their ids are the same in every database; a migration creates them."""

from __future__ import annotations

from uuid import UUID

FUNDING = UUID("00000000-0000-7000-8000-000000000001")
"""Debited for initial funds and welcome balances."""
SUSPENSE = UUID("00000000-0000-7000-8000-000000000002")
"""Holds credits at a bank whose owner is not known yet."""
FEES = UUID("00000000-0000-7000-8000-000000000003")

SETTLEMENT = {
    "hdfc": UUID("00000000-0000-7000-8000-000000000011"),
    "axis": UUID("00000000-0000-7000-8000-000000000012"),
}
"""Per bank: mirrors our money there, so `-balance` is what the bank's own book must say."""

NAMES = {
    FUNDING: "Batua",
    SUSPENSE: "Batua",
    FEES: "Batua",
    SETTLEMENT["hdfc"]: "HDFC Bank",
    SETTLEMENT["axis"]: "Axis Bank",
}
"""What people read on a statement."""
