"""What a payment link asks for, and everything that is no such link."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.user_app.payment_links import PaymentLink, UnreadableLink, read_payment_link
from shared.money import MAX_MOVEMENT_PAISE
from shared.payment_codes import payment_uri

HERE = "wallet.example"
FAMILY = "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"


def read(text: str) -> PaymentLink:
    return read_payment_link(text, own_host=HERE)


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("upi://pay?pa=chai@batua&pn=Chai&cu=INR", PaymentLink("chai@batua")),
        ("UPI://PAY?PA=Chai@Batua&CU=inr&AM=120", PaymentLink("chai@batua", 120_00)),
        ("upi:pay?pa=chai@batua&am=12.5", PaymentLink("chai@batua", 12_50)),
        ("upi://pay?pa=chai%40batua&am=12.05&tn=Two%20chai", PaymentLink("chai@batua", 12_05, "Two chai")),
        ("upi://pay?pa=chai@batua&am=", PaymentLink("chai@batua")),
        ("upi://pay?pa=chai@batua&tn=%0Aa", PaymentLink("chai@batua", note="a")),
        ("upi://pay?pa=chai@batua&tn=a%00b", PaymentLink("chai@batua")),
        (f"upi://pay?pa=chai@batua&tn={quote(FAMILY)}", PaymentLink("chai@batua", note=FAMILY)),
        (f"upi://pay?pa=chai@batua&tn={'a' * 201}", PaymentLink("chai@batua")),
        (f"https://{HERE}/pay/chai@batua?amount=120.00&note=Tea", PaymentLink("chai@batua", 120_00, "Tea")),
        (f"http://{HERE.upper()}/pay/chai%40batua", PaymentLink("chai@batua")),
        ("/pay/chai@batua?amount=1", PaymentLink("chai@batua", 1_00)),
        ("  chai@batua\n", PaymentLink("chai@batua")),
    ],
)
def test_a_link_is_read(text: str, link: PaymentLink) -> None:
    assert read(text) == link


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Paste a link"),
        ("a" * 1001, "Paste a link"),
        ("https://[", "no address"),
        ("upi://mandate?pa=chai@batua", "other than a payment"),
        ("upi://pay?pa=chai@okhdfc", "another service"),
        ("upi://pay?pn=Chai", "no payment"),
        ("upi://pay?pa=chai@batua&pa=evil@batua", "twice"),
        ("upi://pay?pa=chai@batua&am=1&AM=1000", "twice"),
        ("upi://pay?pa=chai@batua&cu=USD&am=1", "rupees"),
        *(
            (f"upi://pay?pa=chai@batua&am={amount}", "amount")
            for amount in ("0", "1,000", "1e3", "-5", "1.005", "१२", "9" * 10)
        ),
        (f"upi://pay?pa=chai@batua&am={MAX_MOVEMENT_PAISE // 100 + 1}", "amount"),
        ("upi://pay?" + "&".join(f"a{number}=1" for number in range(31)), "too much"),
        ("https://evil.example/pay/chai@batua", "another site"),
        (f"https://{HERE}@evil.example/pay/chai@batua", "another site"),
        (f"https://{HERE}/withdraw", "another page"),
        (f"https://{HERE}/pay/", "no payment"),
        (f"https://{HERE}/pay/../send", "no payment"),
        ("javascript:alert(1)", "no payment"),
        ("WIFI:S:home;T:WPA;P:secret;;", "no payment"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(UnreadableLink, match=reason):
        read(text)


@given(
    st.text(max_size=60)
    | st.text(max_size=40).map("upi://pay?pa=".__add__)
    | st.from_regex(r"upi://pay\?(am|pa|tn|cu)=.{0,20}")
)
def test_no_text_leads_elsewhere(text: str) -> None:
    try:
        link = read(text)
    except UnreadableLink:
        return
    assert link.path.startswith("/pay/")
    assert read(link.path) == link


@given(st.none() | st.integers(1, MAX_MOVEMENT_PAISE), st.text(min_size=1, max_size=100))
def test_the_code_of_a_shop_is_read_as_it_was_made(amount: int | None, name: str) -> None:
    try:
        uri = payment_uri(wallet_id="chai@batua", business_name=name, amount=amount)
    except UnicodeEncodeError:
        return
    if len(uri) <= 1000:
        assert read(uri) == PaymentLink("chai@batua", amount)
