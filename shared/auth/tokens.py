"""Session tokens: JWTs (RFC 7519) signed with HS256, valid for one app, revocable.

Pure: `read` checks what a token says, `identify` judges it by what Postgres says of its session (see `sessions`).
"""

from __future__ import annotations

import hashlib
import hmac
import sys
from base64 import urlsafe_b64encode
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from uuid import UUID

import jwt
from asyncpg.pgproto import pgproto
from pydantic_core import from_json

from shared import clock
from shared.auth.errors import PinTokenInvalid, TokenExpired, TokenInvalid, TokenRevoked
from shared.auth.rules import MAX_TOKEN_LENGTH
from shared.config import TokenSettings
from shared.ids import new_id

Audience = Literal["user_app", "merchant_app"]
OwnerKind = Literal["user", "merchant"]

KIND_OF_AUDIENCE: Mapping[Audience, OwnerKind] = {"user_app": "user", "merchant_app": "merchant"}
ALGORITHM = "HS256"
ISSUER = "batua"
_SESSION, _PIN = "session", "pin"
_KEY_ID_LENGTH = 16
_PIN_DIGEST_LENGTH = 32
_KEY_LENGTH = 32
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_NUMBERS = (int, float)
MAX_REMEMBERED = 24_576
"""Tokens whose signature a process checks once, two of each caller: to check costs more than a transfer's share of its
statements. About 1.2 KiB each.
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """The signed-in owner and the session, whose id is the token's `jti`. `is_system`: the platform's own user."""

    owner_id: UUID
    kind: OwnerKind
    session_id: UUID
    is_system: bool
    expires_at: datetime


class SessionState(NamedTuple):
    """What Postgres says of a session and its owner. All columns of an owner that does not exist are None or False."""

    kind: str | None
    is_system: bool | None
    tokens_valid_after: datetime | None
    kept_token_id: UUID | None
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says, after its signature was checked."""

    owner_id: UUID
    token_id: UUID
    issued_at: datetime
    expires_at: datetime
    purpose: str
    pin_digest: bytes

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Claims:
        """Raises KeyError, ValueError, TypeError, OverflowError, OSError for claims that are missing or wrong."""
        return cls(
            pgproto.UUID(payload["sub"]),  # the UUID of every row: made, hashed and written in a tenth of the time
            pgproto.UUID(payload["jti"]),
            datetime.fromtimestamp(payload["iat"], UTC),
            datetime.fromtimestamp(payload["exp"], UTC),
            sys.intern(str(payload.get("purpose", ""))),
            str(payload.get("pin", "")).encode(),
        )


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token for the caller, and when it expires (UTC)."""

    token: str
    expires_at: datetime


class Tokens:
    """Issues and verifies the tokens of one app. The first key signs, all keys verify, so that keys can be rotated."""

    def __init__(self, settings: TokenSettings, audience: Audience) -> None:
        secrets = [key.get_secret_value().encode() for key in settings.token_keys]
        # Keys of any length are hashed to 32 bytes.
        self._keys = {_key_id(secret): hashlib.sha256(b"batua-token:" + secret).digest() for secret in secrets}
        self._signers = {_header(key_id): _signer(key, _header(key_id)) for key_id, key in self._keys.items()}
        self._signing_key_id = _key_id(secrets[0])
        self._audience = audience
        self._lifetime = timedelta(seconds=settings.token_lifetime_seconds)
        self._pin_lifetime = timedelta(seconds=settings.pin_token_lifetime_seconds)
        # A signature that was right stays right; expiry and the session's state are judged at every use. What is wrong
        # raises and is not remembered.
        self._signed_claims = lru_cache(MAX_REMEMBERED)(self._check_signature)
        self._stands_for_pin = lru_cache(MAX_REMEMBERED)(self._compare_pin_digest)

    @property
    def kind(self) -> OwnerKind:
        """The kind of owner that signs in to this app."""
        return KIND_OF_AUDIENCE[self._audience]

    def issue(self, owner_id: UUID) -> IssuedToken:
        """Start a session of an owner who has just given the right password."""
        return self._sign(_SESSION, owner_id, self._lifetime, {"jti": str(new_id())})

    def issue_pin_token(self, identity: Identity, pin_hash: str) -> IssuedToken:
        """Issue a token that stands for the PIN with this hash, for a few minutes and in this session only."""
        digest = _pin_digest(self._keys[self._signing_key_id], pin_hash)
        claims = {"jti": str(identity.session_id), "pin": digest.decode()}
        return self._sign(_PIN, identity.owner_id, self._pin_lifetime, claims)

    def read(self, token: str) -> Claims:
        """What a session token says. Raises TokenInvalid, TokenExpired."""
        return self._read(token, _SESSION)

    def read_expired(self, token: str) -> Claims:
        """What a session token says, even if it is no longer valid: it signs in to nothing. Raises TokenInvalid."""
        return self._claims(token, _SESSION)

    def identify(self, claims: Claims, state: SessionState) -> Identity:
        """The owner and session of a token, by what Postgres says now. Raises TokenInvalid, TokenRevoked."""
        if state.kind != self.kind:
            raise TokenInvalid
        valid_after = state.tokens_valid_after
        is_too_old = (
            valid_after is not None and claims.issued_at <= valid_after and claims.token_id != state.kept_token_id
        )
        if state.is_revoked or is_too_old:
            raise TokenRevoked
        return Identity(claims.owner_id, self.kind, claims.token_id, bool(state.is_system), claims.expires_at)

    def verify_pin_token(self, token: str, identity: Identity, pin_hash: str) -> None:
        """Raise PinTokenInvalid unless the token stands for this owner's PIN in this session.

        `pin_hash` is the owner's present one: a token of an earlier PIN is not valid.
        """
        try:
            claims = self._read(token, _PIN)
        except (TokenInvalid, TokenExpired):
            raise PinTokenInvalid from None
        if (claims.owner_id, claims.token_id) != (identity.owner_id, identity.session_id):
            raise PinTokenInvalid
        if not self._stands_for_pin(claims.pin_digest, pin_hash):
            raise PinTokenInvalid

    def _compare_pin_digest(self, pin_digest: bytes, pin_hash: str) -> bool:
        return any(hmac.compare_digest(pin_digest, _pin_digest(key, pin_hash)) for key in self._keys.values())

    def _sign(self, purpose: str, owner_id: UUID, lifetime: timedelta, more: Mapping[str, Any]) -> IssuedToken:
        issued_at = clock.now()
        expires_at = datetime.fromtimestamp(int((issued_at + lifetime).timestamp()), UTC)
        claims = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": str(owner_id),
            "purpose": purpose,
            "iat": issued_at.timestamp(),
            "exp": int(expires_at.timestamp()),
            **more,
        }
        key_id = self._signing_key_id
        return IssuedToken(jwt.encode(claims, self._keys[key_id], ALGORITHM, headers={"kid": key_id}), expires_at)

    def _read(self, token: str, purpose: str) -> Claims:
        claims = self._claims(token, purpose)
        if claims.expires_at <= clock.now():
            raise TokenExpired
        return claims

    def _claims(self, token: str, purpose: str) -> Claims:
        if len(token) > MAX_TOKEN_LENGTH:
            raise TokenInvalid
        try:
            claims = self._signed_claims(token)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError):  # OSError: a time out of range
            raise TokenInvalid from None
        if claims.purpose != purpose:
            raise TokenInvalid
        return claims

    def _check_signature(self, token: str) -> Claims:
        return self._check_our_own(token) or self._check_any(token)

    def _check_our_own(self, token: str) -> Claims | None:
        """The claims of a token that looks exactly as `_sign` writes it, for a tenth of the library's time. None for
        any other token: the library decides.
        """
        header, _, rest = token.partition(".")
        written, _, signature = rest.partition(".")
        signer = self._signers.get(header)
        if signer is None or not hmac.compare_digest(_signature(signer, written), signature.encode()):
            return None
        # Padding beyond the last character is ignored, and the key's owner has written every character before it.
        try:
            payload = from_json(a2b_base64(written.encode().translate(_URL_SAFE) + b"=="), allow_inf_nan=False)
        except ValueError:
            return None
        is_usual = (
            type(payload) is dict
            and payload.get("iss") == ISSUER
            and payload.get("aud") == self._audience
            and "nbf" not in payload
            and type(payload.get("sub")) is type(payload.get("jti")) is str
            and type(payload.get("iat")) in _NUMBERS
            and type(payload.get("exp")) in _NUMBERS
        )
        return Claims.of(payload) if is_usual else None

    def _check_any(self, token: str) -> Claims:
        key_id = jwt.get_unverified_header(token).get("kid")
        key = self._keys.get(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise jwt.InvalidKeyError
        payload = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=self._audience,
            issuer=ISSUER,
            # The time comes from shared.clock, so the library must not read its own.
            options={
                "require": ["iss", "aud", "sub", "jti", "iat", "exp"],
                "strict_aud": True,
                "verify_exp": False,
                "verify_iat": False,
            },
        )
        return Claims.of(payload)


def _pin_digest(key: bytes, pin_hash: str) -> bytes:
    """A keyed digest of a PIN hash: equal for equal hashes, and it reveals nothing about them."""
    return hmac.digest(key, b"batua-pin:" + pin_hash.encode(), "sha256").hex()[:_PIN_DIGEST_LENGTH].encode()


def _header(key_id: str) -> str:
    """The first part of the tokens that this key signs."""
    return jwt.encode({}, b"0" * _KEY_LENGTH, ALGORITHM, headers={"kid": key_id}).partition(".")[0]


def _signer(key: bytes, header: str) -> hmac.HMAC:
    """What has hashed the key and the first part of a token, to be copied for the rest."""
    return hmac.new(key, f"{header}.".encode(), "sha256")


def _signature(signer: hmac.HMAC, written: str) -> bytes:
    signing = signer.copy()
    signing.update(written.encode())
    return urlsafe_b64encode(signing.digest()).rstrip(b"=")


def _key_id(secret: bytes) -> str:
    return hashlib.sha256(b"batua-key-id:" + secret).hexdigest()[:_KEY_ID_LENGTH]
