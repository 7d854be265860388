"""Changing the password and the PIN of an owner who gives the current password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.auth.audited import RefusalsAudited
from shared.auth.errors import CurrentPasswordIncorrect
from shared.auth.hashing_queue import Asker
from shared.auth.password_check import PasswordCheck
from shared.auth.passwords import Hasher
from shared.auth.throttle import SignInThrottle
from shared.auth.tokens import Identity
from shared.auth.weak_secrets import require_strong
from shared.db.engine import SessionMaker
from shared.db.retries import in_transaction
from shared.models import Merchant, Owner, User

_OWNER = (
    select(Owner.password_hash, Owner.email, User.first_name, User.last_name, Merchant.business_name)
    .outerjoin(User, User.id == Owner.id)
    .outerjoin(Merchant, Merchant.id == Owner.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsChange:
    """The secrets to change, and the current password. `address` is the network address that asks."""

    address: str
    current_password: str = field(repr=False)
    new_password: str | None = field(default=None, repr=False)
    new_pin: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedSecrets:
    """The hashes to store, and the password hash that was verified."""

    verified_hash: str
    password_hash: str | None
    pin_hash: str | None


async def verify_and_hash(
    sessionmaker: SessionMaker, *, identity: Identity, change: SecretsChange, hasher: Hasher, throttle: SignInThrottle
) -> HashedSecrets:
    """Verify the current password and hash the new secrets. No database transaction is open during a hash.

    Raises CurrentPasswordIncorrect, WeakSecret, HashingBusy, CallerLeft; TooManyAttempts, counted for this session
    alone.
    """
    whose = _OWNER.where(Owner.id == identity.owner_id)
    owner = (await in_transaction(sessionmaker, lambda session: session.execute(whose))).one()
    asker = Asker.owner(identity.owner_id, change.address)
    check = PasswordCheck(hasher, throttle, asker, throttle.by_session(identity.session_id))
    with RefusalsAudited(owner_id=identity.owner_id, address=change.address):
        if await check.matching_form(change.current_password, owner.password_hash) is None:
            raise CurrentPasswordIncorrect
    names = [name for name in (owner.first_name, owner.last_name, owner.business_name) if name is not None]
    require_strong(email=owner.email, names=names, password=change.new_password, pin=change.new_pin, prefix="new_")
    return HashedSecrets(
        verified_hash=owner.password_hash,
        password_hash=None if change.new_password is None else await hasher.hash_password(change.new_password, asker),
        pin_hash=None if change.new_pin is None else await hasher.hash_pin(change.new_pin, asker),
    )


async def store(session: AsyncSession, *, identity: Identity, secrets: HashedSecrets) -> None:
    """Store the hashes. A new password ends every session but this one.

    Raises CurrentPasswordIncorrect if the password has changed since it was verified. Storing the same again does not.
    """
    values: dict[str, Any] = {}
    if secrets.password_hash is not None:
        values["password_hash"] = secrets.password_hash
        values["tokens_valid_after"] = clock.now()
        values["kept_token_id"] = identity.session_id
    if secrets.pin_hash is not None:
        values["pin_hash"] = secrets.pin_hash
    statement = (
        update(Owner)
        .where(Owner.id == identity.owner_id)
        .where(Owner.password_hash.in_([secrets.verified_hash, secrets.password_hash or secrets.verified_hash]))
        .values(values)
        .returning(Owner.id)
    )
    if (await session.execute(statement)).one_or_none() is None:
        raise CurrentPasswordIncorrect
