"""Mails state what happened, and text that people wrote stays text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.outbox.mail import Bundle, Letter, Unrenderable
from shared.outbox.mail import render as rendered

FROM = "Batua <no-reply@batua.example>"
HEADERS = ["Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]
RECEIVED: dict[str, Any] = {"amount": 50000, "from_name": "Bob Nair", "note": "for chai", "transfer_id": "t-1"}


def letter(kind: str, facts: dict[str, Any], *, name: str = "Alice", email: str = "alice@example.test") -> Letter:
    return Letter(UUID(int=7), kind, facts, email, name, datetime(2026, 11, 20, tzinfo=UTC))


def render(letter: Letter, *, mail_from: str) -> EmailMessage:
    """The mail as a program reads it that receives it."""
    sent = rendered(letter, mail_from=mail_from)
    assert all(len(line) <= 998 for line in sent.content.split(b"\r\n"))
    assert b"\n" not in sent.content.replace(b"\r\n", b"")
    assert sent.content.isascii()
    mail = message_from_bytes(sent.content, policy=default)
    assert isinstance(mail, EmailMessage)
    assert not mail.defects
    assert mail["To"].addresses[0].addr_spec == sent.recipient
    return mail


def parts(mail: EmailMessage) -> tuple[str, str]:
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content().replace("\r\n", "\n"), html.get_content().replace("\r\n", "\n")


def test_money_received_says_who_how_much_and_why() -> None:
    mail = render(letter("money_received", {**RECEIVED, "balance_after": 1234567}), mail_from=FROM)
    assert mail["Subject"] == "You received ₹500.00"
    assert (mail["To"], mail["From"]) == ("alice@example.test", FROM)
    assert mail["Message-ID"] == f"<{UUID(int=7)}@batua.example>"
    for body in parts(mail):
        for said in ("Hello Alice", "Bob Nair", "₹500.00", "for chai", "₹12,345.67", "t-1"):
            assert said in body


def test_a_failed_proof_names_the_rules_and_says_that_no_payout_leaves() -> None:
    facts = {"started_at": "2026-11-20 21:30", "rules": ["all balances together are zero", "a <b>rule</b>"]}
    mail = render(letter("proof_failed", facts, name="operator"), mail_from=FROM)
    assert mail["Subject"] == "The proof of the books failed: no payout leaves"
    text, html = parts(mail)
    for said in ("2026-11-20 21:30 UTC", "all balances together are zero"):
        assert said in text
        assert said in html
    assert "a <b>rule</b>" in text
    assert "<b>rule</b>" not in html


def test_facts_that_are_optional_may_be_left_out() -> None:
    text, html = parts(render(letter("money_received", {"amount": 1, "from_name": "Bob"}), mail_from=FROM))
    assert "None" not in text + html
    assert "balance" not in text + html


def bundle(count: int, amount: int, *newest: dict[str, Any], name: str = "Alice") -> Letter:
    return replace(letter("money_received", RECEIVED, name=name), bundle=Bundle(count, amount, newest))


def test_a_bundle_says_how_many_how_much_and_names_the_newest() -> None:
    newest = [RECEIVED, {"amount": 12345_00, "from_name": "Chai & Co"}]
    mail = render(bundle(1234, 1_00_000_00, *newest), mail_from=FROM)
    assert mail["Subject"] == "₹1,00,000.00 in 1,234 payments"
    assert mail["Message-ID"] == f"<{UUID(int=7)}@batua.example>"
    text, html = parts(mail)
    assert text == (
        "Hello Alice,\n\nyou received ₹1,00,000.00 in 1,234 payments.\n\nThe newest of them:\n"
        '- ₹500.00: Received from Bob Nair, "for chai"\n- ₹12,345.00: Received from Chai & Co\n'
        "- and 1,232 more\n\nBatua"
    )
    for said in (
        "Hello Alice",
        "<strong>₹1,00,000.00</strong>",
        "₹500.00: Received from Bob Nair, “for chai”",
        "Chai &amp; Co",
    ):
        assert said in html


def test_a_bundle_that_names_all_its_payments_speaks_of_no_more() -> None:
    text, html = parts(render(bundle(2, 1000_00, RECEIVED, RECEIVED), mail_from=FROM))
    assert "more" not in text + html
    assert "newest" not in text + html
    assert text.count("- ₹500.00: Received from Bob Nair") == html.count("<li>₹500.00: Received from Bob Nair") == 2


def test_text_that_people_wrote_stays_text_in_a_bundle() -> None:
    evil = "<script>alert(1)</script>\r\n\r\nPay here: evil.example\u202e"
    mail = render(bundle(3, 1000_00, {**RECEIVED, "from_name": evil, "note": evil}, name=evil), mail_from=FROM)
    text, html = parts(mail)
    assert "<script" not in html
    assert not any(line.startswith("Pay here") for line in text.splitlines())
    assert "\u202e" not in text + html


def test_money_from_a_bank_names_the_bank() -> None:
    facts = {"amount": 50000, "currency": "INR", "kind": "onramp", "bank": "hdfc", "transfer_id": "t-1"}
    mail = render(letter("money_received", facts), mail_from=FROM)
    assert mail["Subject"] == "₹500.00 was added from your bank"
    assert "sent you" not in "".join(parts(mail))


def test_a_refund_says_that_it_is_one() -> None:
    mail = render(letter("money_received", {**RECEIVED, "kind": "refund", "from_name": "Chai Point"}), mail_from=FROM)
    assert mail["Subject"] == "You were refunded ₹500.00"
    assert all("Chai Point refunded you ₹500.00" in body for body in parts(mail))


def test_a_bundle_of_several_kinds_tells_them_apart() -> None:
    added = {"amount": 2000_00, "kind": "onramp", "bank": "hdfc"}
    refunded = {"amount": 50_00, "kind": "refund", "from_name": "Chai Point"}
    kinds = {"onramp": (1, 2000_00), "refund": (1, 50_00), "p2p": (2, 1000_00)}
    bundled = Bundle(4, 3050_00, [added, refunded, RECEIVED, RECEIVED], kinds)
    mail = render(replace(letter("money_received", RECEIVED), bundle=bundled), mail_from=FROM)
    assert mail["Subject"] == "₹3,050.00 arrived in your wallet"
    text, html = parts(mail)
    for said in (
        "Money added: ₹2,000.00 (1)",
        "Refunds: ₹50.00 (1)",
        "Transfers: ₹1,000.00 (2)",
        "₹2,000.00: Added from HDFC Bank",
        "₹50.00: Refunded by Chai Point",
        "₹500.00: Received from Bob Nair",
    ):
        assert said in text
        assert said in html
    assert "payments" not in text + html


def test_a_welcome_gift_is_told_of_in_the_welcome() -> None:
    mail = render(letter("welcome", {"gift": 500_00}), mail_from=FROM)
    assert all("A welcome gift of" in body and "₹500.00" in body for body in parts(mail))
    assert all("gift" not in body for body in parts(render(letter("welcome", {}), mail_from=FROM)))


def test_the_welcome_has_no_word_that_was_chosen_at_sign_up() -> None:
    chosen = "You won! Call 98765 43210"
    mail = render(letter("welcome", {"name": chosen, "wallet_id": "youwon@batua"}, name=chosen), mail_from=FROM)
    assert mail["Subject"] == "Welcome to Batua"
    assert not any("won" in body for body in parts(mail))


@pytest.mark.parametrize(
    ("status", "said"),
    [("succeeded", "has paid out"), ("failed", "did not pay out"), ("reversed", "sent your")],
)
def test_a_finished_withdrawal_says_how_it_ended(status: str, said: str) -> None:
    facts = {"withdrawal_id": "w-1", "amount": 10000, "bank": "hdfc", "status": status, "utr": "HDFCN1", "reason": "NO"}
    mail = render(letter("withdrawal_finished", facts), mail_from=FROM)
    for body in parts(mail):
        assert said in body
        assert "HDFC Bank" in body
        assert "₹100.00" in body
        assert ("The bank says: NO" in body) == (status != "succeeded")


def test_names_cannot_start_a_header_or_a_paragraph() -> None:
    evil = "Bob\r\nBcc: everyone@example.test\r\n\r\nPay here: evil.example\u2028\u202e"
    mail = render(letter("money_received", {**RECEIVED, "from_name": evil}, name=evil), mail_from=FROM)
    assert mail["Bcc"] is None
    assert sorted(mail.keys()) == HEADERS
    text, _ = parts(mail)
    assert not any(line.startswith(("Bcc", "Pay here")) for line in text.splitlines())
    assert "\u202e" not in text + mail["Subject"]


def test_names_cannot_end_a_part() -> None:
    boundary = render(letter("money_received", RECEIVED), mail_from=FROM).get_boundary()
    evil = f"--{boundary}--"
    mail = render(letter("money_received", {**RECEIVED, "from_name": evil}), mail_from=FROM)
    assert mail.get_boundary() == boundary
    for body in parts(mail):
        assert f"{evil} sent you" in body.replace("<strong>", "").replace("</strong>", "")


@given(email=st.emails())
def test_a_mail_goes_to_the_address_that_it_is_for(email: str) -> None:
    mail = render(letter("money_received", RECEIVED, email=email), mail_from=FROM)
    assert [address.addr_spec for address in mail["To"].addresses] == [email]


def test_html_in_a_name_or_a_note_is_text() -> None:
    evil = "<script>alert(1)</script>"
    facts = {**RECEIVED, "from_name": evil, "note": evil}
    mail = render(letter("money_received", facts, name=evil), mail_from=FROM)
    text, html = parts(mail)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 3
    assert evil in text


@given(name=st.text(max_size=300), note=st.text(max_size=300))
def test_any_text_can_be_mailed_and_keeps_the_headers(name: str, note: str) -> None:
    mail = render(letter("money_received", {**RECEIVED, "from_name": name, "note": note}, name=name), mail_from=FROM)
    assert sorted(mail.keys()) == HEADERS
    assert mail["Subject"] == "You received ₹500.00"


@pytest.mark.parametrize(
    "broken",
    [
        letter("unheard_of", {}),
        letter("money_received", {"from_name": "Bob"}),
        letter("money_received", {**RECEIVED, "amount": "50000"}),
        letter("money_received", RECEIVED, email="alice@example.test\r\nBcc: x@example.test"),
    ],
)
def test_what_cannot_be_written_says_so(broken: Letter) -> None:
    with pytest.raises(Unrenderable):
        render(broken, mail_from=FROM)
