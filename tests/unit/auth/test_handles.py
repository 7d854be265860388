from __future__ import annotations

import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auth.handles import candidates, handle_base
from shared.auth.rules import HANDLE_PATTERN


def test_a_handle_begins_with_its_owners_name() -> None:
    assert list(islice(candidates(handle_base("Alice", otherwise="wallet")), 3)) == [
        "alice@batua",
        "alice2@batua",
        "alice3@batua",
    ]
    assert handle_base("Chai Point", otherwise="shop") == "chaipoint"
    assert handle_base("José-María", otherwise="wallet") == "josemaria"
    assert handle_base("चाय", otherwise="shop") == "shop"


@pytest.mark.parametrize(
    "name",
    [
        *("Support", "support 2", "Batua", "Batua Support", "batua2", "My Batua", "B\u00e4tua", "HDFC Bank", "Axis"),
        *("Adm1n", "5upport", "supp0rt", "H0lder of b4tua", "0fficial", "k0tak", "5ystem 2"),
        *("axis bank 1", "admin1", "Administrator", "System", "SBI", "Help", "Bank", "24 Bank", "Customer Care", "UPI"),
    ],
)
def test_no_handle_looks_like_the_platform_or_a_bank(name: str) -> None:
    assert handle_base(name, otherwise="shop") == "shop"
    assert all(handle.startswith("shop") for handle in candidates(handle_base(name, otherwise="shop")))


@pytest.mark.parametrize("name", ["Bankim", "Helen", "Axisha", "Rooth", "Caren", "Upinder"])
def test_a_name_that_only_begins_like_one_is_a_name(name: str) -> None:
    assert handle_base(name, otherwise="wallet") == name.lower()


@given(st.text(max_size=100))
def test_every_name_makes_a_bounded_number_of_valid_handles(name: str) -> None:
    made = list(candidates(handle_base(name, otherwise="wallet")))
    assert 1 <= len(made) <= 20
    assert all(re.fullmatch(HANDLE_PATTERN, handle) for handle in made)


def test_a_number_does_not_make_a_wallet_id_pass_for_another() -> None:
    assert handle_base("Suppor", otherwise="wallet") == "suppor"
    made = list(candidates("suppor"))
    assert "suppor6@batua" in made
    assert not [handle for handle in made if handle.startswith("suppor7")]
