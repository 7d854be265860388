"""Session tokens: JWTs (RFC 7519) signed with HS256, valid for one app, revocable.

Every verification reads Postgres, in one SQL statement: a sign-out holds whatever happens to Redis.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import jwt
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.auth.errors import PinTokenInvalid, TokenExpired, TokenInvalid, TokenRevoked
from shared.auth.rules import MAX_TOKEN_LENGTH
from shared.config import TokenSettings
from shared.ids import new_id
from shared.models import Owner, RevokedToken

Audience = Literal["user_app", "merchant_app"]
OwnerKind = Literal["user", "merchant"]

KIND_OF_AUDIENCE: Mapping[Audience, OwnerKind] = {"user_app": "user", "merchant_app": "merchant"}
ALGORITHM = "HS256"
ISSUER = "batua"
_SESSION, _PIN = "session", "pin"
_KEY_ID_LENGTH = 16
_PIN_DIGEST_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """The signed-in owner and the session, whose id is the token's `jti`. `is_system`: the platform's own user."""

    owner_id: UUID
    kind: OwnerKind
    session_id: UUID
    is_system: bool
    expires_at: datetime


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
        self._signing_key_id = _key_id(secrets[0])
        self._audience = audience
        self._lifetime = timedelta(seconds=settings.token_lifetime_seconds)
        self._pin_lifetime = timedelta(seconds=settings.pin_token_lifetime_seconds)

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

    async def verify(self, session: AsyncSession, token: str) -> Identity:
        """The owner and session of a token. Raises TokenInvalid, TokenExpired, TokenRevoked."""
        claims = self._read(token, _SESSION)
        statement = (
            select(Owner.is_system, Owner.tokens_valid_after, Owner.kept_token_id, RevokedToken.id)
            .outerjoin(RevokedToken, RevokedToken.id == claims.token_id)
            .where(Owner.id == claims.owner_id, Owner.kind == self.kind)
        )
        row = (await session.execute(statement)).one_or_none()
        if row is None:
            raise TokenInvalid
        is_system, valid_after, kept_token_id, revoked = row
        is_too_old = valid_after is not None and claims.issued_at <= valid_after and claims.token_id != kept_token_id
        if revoked is not None or is_too_old:
            raise TokenRevoked
        return Identity(claims.owner_id, self.kind, claims.token_id, is_system, claims.expires_at)

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
        if not any(hmac.compare_digest(claims.pin_digest, _pin_digest(key, pin_hash)) for key in self._keys.values()):
            raise PinTokenInvalid

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

    def _read(self, token: str, purpose: str) -> _Claims:
        if len(token) > MAX_TOKEN_LENGTH:
            raise TokenInvalid
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(key_id) if isinstance(key_id, str) else None
            if key is None:
                raise TokenInvalid
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
            claims = _Claims.of(payload)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, UnicodeError):
            raise TokenInvalid from None
        if payload.get("purpose") != purpose:
            raise TokenInvalid
        if claims.expires_at <= clock.now():
            raise TokenExpired
        return claims


@dataclass(frozen=True, slots=True)
class _Claims:
    owner_id: UUID
    token_id: UUID
    issued_at: datetime
    expires_at: datetime
    pin_digest: bytes

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> _Claims:
        return cls(
            UUID(payload["sub"]),
            UUID(payload["jti"]),
            datetime.fromtimestamp(payload["iat"], UTC),
            datetime.fromtimestamp(payload["exp"], UTC),
            str(payload.get("pin", "")).encode(),
        )


def _pin_digest(key: bytes, pin_hash: str) -> bytes:
    """A keyed digest of a PIN hash: equal for equal hashes, and it reveals nothing about them."""
    return hmac.digest(key, b"batua-pin:" + pin_hash.encode(), "sha256").hex()[:_PIN_DIGEST_LENGTH].encode()


def _key_id(secret: bytes) -> str:
    return hashlib.sha256(b"batua-key-id:" + secret).hexdigest()[:_KEY_ID_LENGTH]
