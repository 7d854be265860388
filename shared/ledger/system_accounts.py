"""The platform's own accounts, by fixed id: the same in every database, made by a migration."""

from __future__ import annotations

from uuid import UUID

FUNDING = UUID("00000000-0000-7000-8000-000000000001")
"""Where initial funds and welcome balances come from."""
SUSPENSE = UUID("00000000-0000-7000-8000-000000000002")
"""Money at a bank that belongs to nobody we know, yet."""
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
