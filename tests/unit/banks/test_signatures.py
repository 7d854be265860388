"""Who may speak as the bank: the right secret, the same bytes, now."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from shared.banks.signatures import SignatureInvalid, check_secret, sign, verify

OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
NOW = datetime(2026, 10, 16, 10, 0, tzinfo=UTC)
BODY = '{"amount":20000,"note":"₹"}'.encode()


def test_the_signed_message_is_accepted_and_its_id_returned() -> None:
    assert verify([NEW], sign(NEW, "msg_1", NOW, BODY), BODY, now=NOW) == "msg_1"


def test_the_standard_library_of_the_scheme_agrees() -> None:
    headers = sign(NEW, "msg_1", datetime.now(UTC), BODY)
    assert Webhook(NEW).verify(BODY, headers) == {"amount": 20000, "note": "₹"}


def test_any_of_two_current_secrets_will_do_during_a_rotation() -> None:
    for secret in (OLD, NEW):
        assert verify([NEW, OLD], sign(secret, "msg_1", NOW, BODY), BODY, now=NOW) == "msg_1"


def test_one_of_several_signatures_is_enough() -> None:
    headers = sign(NEW, "msg_1", NOW, BODY)
    headers["webhook-signature"] = f"v1a,xyz v1,AAAA {headers['webhook-signature']}"
    assert verify([NEW], headers, BODY, now=NOW) == "msg_1"


def test_header_names_are_read_in_any_case_and_any_zone_signs_the_same_moment() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    headers = sign(NEW, "msg_1", NOW.astimezone(india), BODY)
    assert verify([NEW], {name.upper(): text for name, text in headers.items()}, BODY, now=NOW) == "msg_1"


@pytest.mark.parametrize("seconds", [-300, 300])
def test_five_minutes_are_within_the_tolerance(seconds: int) -> None:
    sent_at = NOW + timedelta(seconds=seconds)
    assert verify([NEW], sign(NEW, "msg_1", sent_at, BODY), BODY, now=NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_more_than_five_minutes_are_not(seconds: int) -> None:
    headers = sign(NEW, "msg_1", NOW + timedelta(seconds=seconds), BODY)
    with pytest.raises(SignatureInvalid, match="too far"):
        verify([NEW], headers, BODY, now=NOW)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", ""),
        ("webhook-id", "other"),
        ("webhook-id", "x" * 129),
        ("webhook-timestamp", ""),
        ("webhook-timestamp", "nan"),
        ("webhook-timestamp", "-5"),
        ("webhook-timestamp", "1e9"),
        ("webhook-timestamp", "9" * 11),
        ("webhook-timestamp", "9" * 40),
        ("webhook-signature", ""),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1"),
        ("webhook-signature", "v1,not base64 ,,"),
        ("webhook-signature", "v1,é"),
        ("webhook-signature", "v1,AAAA " * 50),
    ],
)
def test_a_header_that_is_not_as_signed_is_refused(name: str, value: str) -> None:
    headers = {**sign(NEW, "msg_1", NOW, BODY), name: value}
    with pytest.raises(SignatureInvalid):
        verify([NEW], headers, BODY, now=NOW)


def test_a_moved_timestamp_does_not_verify() -> None:
    headers = sign(NEW, "msg_1", NOW, BODY)
    headers["webhook-timestamp"] = str(int(headers["webhook-timestamp"]) + 1)
    with pytest.raises(SignatureInvalid, match="no signature matches"):
        verify([NEW], headers, BODY, now=NOW)


def test_another_secret_another_body_or_no_headers_are_refused() -> None:
    headers = sign(OLD, "msg_1", NOW, BODY)
    for given_headers, body in ((headers, BODY), (sign(NEW, "msg_1", NOW, BODY), BODY + b" "), ({}, BODY)):
        with pytest.raises(SignatureInvalid):
            verify([NEW], given_headers, body, now=NOW)


def test_a_body_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(SignatureInvalid, match="UTF-8"):
        verify([NEW], sign(NEW, "msg_1", NOW, BODY), b"\xff", now=NOW)


@given(st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()))
def test_arbitrary_headers_raise_nothing_but_signature_invalid(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureInvalid):
        verify([NEW], headers, BODY, now=NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_AAAA", base64.b64encode(b"n" * 32).decode()])
def test_a_secret_that_cannot_protect_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook secret"):
        check_secret(secret)
