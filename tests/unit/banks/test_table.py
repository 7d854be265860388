"""The table of banks, from which everything else takes its banks."""

from __future__ import annotations

import re

from shared.banks.table import BANKS
from shared.ledger import system_accounts


def test_codes_prefixes_and_settlement_accounts_are_each_used_once() -> None:
    for values in (
        [bank.code for bank in BANKS.values()],
        [bank.ifsc_prefix for bank in BANKS.values()],
        [bank.settlement_account_id for bank in BANKS.values()],
    ):
        assert len(set(values)) == len(BANKS)


def test_codes_fit_addresses_and_names_of_settings() -> None:
    for code, bank in BANKS.items():
        assert code == bank.code
        assert re.fullmatch(r"[a-z]{1,16}", code)
        assert re.fullmatch(r"[A-Z]{4}", bank.ifsc_prefix)


def test_the_ledger_has_a_named_settlement_account_for_every_bank() -> None:
    assert {code: system_accounts.NAMES[account] for code, account in system_accounts.SETTLEMENT.items()} == {
        code: bank.name for code, bank in BANKS.items()
    }
