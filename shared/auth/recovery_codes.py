"""Recovery codes of the platform's own user: each signs in once, in place of a code of a lost authenticator.

A code has 120 random bits, so a fast hash keeps it (NIST SP 800-63B, 5.1.2.2, asks for 112). The hash is keyed with the
PIN pepper, so that the database alone does not show whether a code is right.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.config import PasswordSettings
from shared.models import RecoveryCode

COUNT = 10
PATTERN = "[A-Za-z2-7]{4}(-?[A-Za-z2-7]{4}){5}"
"""Six groups of four characters of base32 (RFC 4648), in either case, with or without what divides them."""
_RANDOM_BITS = 120
_GROUP = 4


async def renew(session: AsyncSession, *, owner_id: UUID, settings: PasswordSettings) -> list[str]:
    """Give the owner COUNT new codes in place of all earlier ones. They are nowhere else than in the answer."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.owner_id == owner_id))
    codes = [base64.b32encode(secrets.token_bytes(_RANDOM_BITS // 8)).decode() for _ in range(COUNT)]
    rows = [{"owner_id": owner_id, "code_hash": _hash(code, owner_id, settings)} for code in codes]
    await session.execute(insert(RecoveryCode), rows)
    return ["-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP)) for code in codes]


async def use(session: AsyncSession, given: str, *, owner_id: UUID, settings: PasswordSettings) -> bool:
    """Whether it was one of the owner's codes. It is none any more."""
    code = given.upper().replace("-", "")
    used = delete(RecoveryCode).where(
        RecoveryCode.owner_id == owner_id, RecoveryCode.code_hash == _hash(code, owner_id, settings)
    )
    return (await session.execute(used.returning(RecoveryCode.owner_id))).one_or_none() is not None


async def count_left(session: AsyncSession, owner_id: UUID) -> int:
    """How many codes the owner has not used."""
    return await session.scalar(select(func.count()).where(RecoveryCode.owner_id == owner_id)) or 0


def _hash(code: str, owner_id: UUID, settings: PasswordSettings) -> str:
    pepper = settings.pin_pepper.get_secret_value().encode()
    key = hashlib.sha256(b"batua-recovery-code:" + pepper).digest()
    return hmac.new(key, owner_id.bytes + code.encode(), hashlib.sha256).hexdigest()
