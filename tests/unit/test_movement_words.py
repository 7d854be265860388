"""Every kind of movement has words of its own, and none that is one's own money reads like another's payment."""

from __future__ import annotations

from typing import get_args

import pytest

from shared.ledger.rules import TransferKind
from shared.movement_words import KINDS, subject_of, subject_of_many, told_of, words_of


def test_every_kind_has_words_of_its_own() -> None:
    assert set(KINDS) == set(get_args(TransferKind))
    for side in (True, False):
        said = [words_of(kind, is_incoming=side, other="X") for kind in KINDS]
        assert len(set(said)) == len(KINDS)
    assert words_of("p2p", is_incoming=True, other="Goa trip", is_own=True) == "Moved from Goa trip"


@pytest.mark.parametrize("kind", KINDS)
def test_only_money_that_others_sent_is_said_to_be_sent(kind: str) -> None:
    told = told_of(kind, other="HDFC Bank", amount="₹5.00")
    assert ("sent you" in told or "paid you" in told) == (kind in ("p2p", "payment"))
    assert "HDFC Bank" in told
    assert "₹5.00" in told


@pytest.mark.parametrize("kind", KINDS)
def test_a_subject_says_the_amount_and_no_name(kind: str) -> None:
    assert subject_of(kind, amount="{other}₹5.00").count("{other}₹5.00") == 1


def test_a_mail_of_many_calls_payments_only_what_are_payments() -> None:
    assert subject_of_many(["p2p", "payment"], count="3", amount="₹9.00") == "₹9.00 in 3 payments"
    assert subject_of_many(["refund"], count="3", amount="₹9.00") == "₹9.00 in 3 refunds"
    assert subject_of_many(["onramp"], count="3", amount="₹9.00") == "₹9.00 was added from your bank"
    assert subject_of_many(["onramp", "p2p"], count="3", amount="₹9.00") == "₹9.00 arrived in your wallet"
