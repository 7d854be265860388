"""Our own quick check of a token agrees with the library's, for tokens as we write them and for all others."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.auth.errors import TokenInvalid
from shared.auth.tokens import ALGORITHM, Claims, Identity, Tokens
from shared.clock import now
from shared.config import TokenSettings
from shared.ids import new_id

KEYS = [SecretStr("newest-key-0123456789"), SecretStr("oldest-key-0123456789")]
TOKENS = Tokens(TokenSettings(token_keys=KEYS), "user_app")
OLD = Tokens(TokenSettings(token_keys=KEYS[1:]), "user_app")
SHOPS = Tokens(TokenSettings(token_keys=KEYS), "merchant_app")
STRANGER = Tokens(TokenSettings(token_keys=[SecretStr("strange-key-0123456789")]), "user_app")
IDENTITY = Identity(new_id(), "user", new_id(), is_system=False, expires_at=now())

values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.lists(st.text(), max_size=2)
)


def _outcome(check: Any, token: str) -> Claims | type[Exception]:
    try:
        claims: Claims = check(token)
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError):
        return Exception
    return claims


def _agree(token: str) -> bool:
    return _outcome(TOKENS._check_signature, token) == _outcome(TOKENS._check_any, token)


def _signed(claims: dict[str, Any], **header: Any) -> str:
    key_id = TOKENS._signing_key_id
    return jwt.encode(claims, TOKENS._keys[key_id], ALGORITHM, headers={"kid": key_id, **header})


def _usual() -> dict[str, Any]:
    issued = jwt.decode(TOKENS.issue(new_id()).token, options={"verify_signature": False})
    return dict(issued)


def test_tokens_as_we_write_them_need_no_library() -> None:
    for issuer in (TOKENS, OLD):
        for issued in (issuer.issue(new_id()), issuer.issue_pin_token(IDENTITY, "hash")):
            claims = TOKENS._check_our_own(issued.token)
            assert claims is not None
            assert claims == TOKENS._check_any(issued.token)


def test_tokens_of_others_are_left_to_the_library() -> None:
    for issuer in (SHOPS, STRANGER):
        assert TOKENS._check_our_own(issuer.issue(new_id()).token) is None
        assert _outcome(TOKENS._check_signature, issuer.issue(new_id()).token) is Exception


@given(name=st.sampled_from(["iss", "aud", "sub", "jti", "iat", "exp", "purpose", "pin", "nbf", "other"]), value=values)
@example(name="exp", value=1e17)
@example(name="purpose", value=float("inf"))
def test_every_claim_is_judged_alike(name: str, value: Any) -> None:
    try:
        token = _signed(_usual() | {name: value})
    except TypeError:  # the library writes no such claim
        return
    assert _agree(token)


@pytest.mark.parametrize("claims", [[], 7, {"exp": 1e17}, {"iat": -1e17}])
def test_a_token_of_ours_that_makes_no_sense_is_invalid(claims: Any) -> None:
    payload = jwt.PyJWS().encode(
        json.dumps(claims if not isinstance(claims, dict) else _usual() | claims).encode(),
        TOKENS._keys[TOKENS._signing_key_id],
        ALGORITHM,
        headers={"kid": TOKENS._signing_key_id},
    )
    with pytest.raises(TokenInvalid):
        TOKENS.read(payload)


@given(name=st.sampled_from(["iss", "aud", "sub", "jti", "iat", "exp", "purpose"]))
def test_every_missing_claim_is_judged_alike(name: str) -> None:
    claims = _usual()
    del claims[name]
    assert _agree(_signed(claims))


@given(header=st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64"]), st.text(max_size=8), max_size=2))
def test_every_header_is_judged_alike(header: dict[str, Any]) -> None:
    header.pop("alg", None)
    assert _agree(_signed(_usual(), **header))


@given(
    position=st.integers(0, 500), letter=st.characters(max_codepoint=300), change=st.sampled_from(["put", "cut", "add"])
)
def test_every_changed_letter_is_judged_alike(position: int, letter: str, change: str) -> None:
    token = TOKENS.issue(new_id()).token
    at = position % len(token)
    changed = {
        "put": token[:at] + letter + token[at + 1 :],
        "cut": token[:at] + token[at + 1 :],
        "add": token[:at] + letter + token[at:],
    }[change]
    assert _agree(changed)


@given(st.text(max_size=60))
def test_any_text_is_judged_alike(text: str) -> None:
    assert _agree(text)
