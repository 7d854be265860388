"""The platform's own accounts. Their ids are the same in every database; a migration creates them."""

from __future__ import annotations

from uuid import UUID

from shared.banks.table import BANKS

FUNDING = UUID("00000000-0000-7000-8000-000000000001")
"""Debited for initial funds and welcome balances."""
SUSPENSE = UUID("00000000-0000-7000-8000-000000000002")
"""Holds credits at a bank whose owner is not known yet."""
FEES = UUID("00000000-0000-7000-8000-000000000003")

SETTLEMENT = {bank.code: bank.settlement_account_id for bank in BANKS.values()}
"""Per bank: the account that mirrors our money there, so the bank's own book must say `-balance`."""

NAMES = {
    FUNDING: "Batua",
    SUSPENSE: "Batua",
    FEES: "Batua",
    **{bank.settlement_account_id: bank.name for bank in BANKS.values()},
}
"""What people read on a statement."""
NAME_OF_ID = "CASE {id} " + " ".join(f"WHEN '{id_}' THEN '{name}'" for id_, name in NAMES.items()) + " END"
"""The same in SQL text: fill in the id."""
