"""The commands of this flow: sign up, sign in, sign out, exchange the PIN for a token, change a profile."""

from __future__ import annotations

from typing import TypedDict
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth import pins, secrets_change
from shared.auth.errors import BadCredentials
from shared.auth.password_check import matching_form
from shared.auth.passwords import Hasher
from shared.auth.queries import get_person_profile, get_shop_profile
from shared.auth.registration import hash_credentials, register_person, register_shop
from shared.auth.secrets_change import HashedSecrets, SecretsChange
from shared.auth.throttle import SignInThrottle
from shared.auth.tokens import Identity, IssuedToken, OwnerKind, Tokens
from shared.auth.views import PersonProfile, ShopProfile
from shared.config import PasswordSettings
from shared.db.engine import SessionMaker
from shared.models import Merchant, Owner, RevokedToken, User
from shared.spelling import opaque


class PersonChanges(TypedDict, total=False):
    """What changes of a person's profile; what is left out stays."""

    first_name: str
    last_name: str


class ShopChanges(TypedDict, total=False):
    """What changes of a shop's profile; what is left out stays. A `category` of None removes it."""

    business_name: str
    category: str | None
    timezone: str


async def sign_up_person(
    *,
    email: str,
    password: str,
    pin: str,
    first_name: str,
    last_name: str,
    welcome_balance_paise: int,
    address: str,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> PersonProfile:
    """Sign up a person with a wallet. Raises TooManySignUps, HashingBusy, EmailTaken."""
    await throttle.count_sign_up(address)
    credentials = await hash_credentials(hasher, email=email, password=password, pin=pin)
    async with sessionmaker.begin() as session:
        wallet = await register_person(
            session,
            credentials=credentials,
            first_name=first_name,
            last_name=last_name,
            welcome_balance_paise=welcome_balance_paise,
        )
    assert wallet.owner_id is not None
    assert wallet.handle is not None
    return PersonProfile(
        id=wallet.owner_id, email=email, first_name=first_name, last_name=last_name, wallet_id=wallet.handle
    )


async def sign_up_shop(
    *,
    email: str,
    password: str,
    pin: str,
    business_name: str,
    category: str | None,
    timezone: str,
    address: str,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> ShopProfile:
    """Sign up a shop with its account. Raises TooManySignUps, HashingBusy, EmailTaken."""
    await throttle.count_sign_up(address)
    credentials = await hash_credentials(hasher, email=email, password=password, pin=pin)
    async with sessionmaker.begin() as session:
        account = await register_shop(
            session, credentials=credentials, business_name=business_name, category=category, timezone=timezone
        )
    assert account.owner_id is not None
    assert account.handle is not None
    return ShopProfile(
        id=account.owner_id,
        email=email,
        business_name=business_name,
        category=category,
        wallet_id=account.handle,
        timezone=timezone,
    )


async def sign_in(
    *,
    kind: OwnerKind,
    email: str,
    password: str,
    address: str,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> UUID:
    """The id of the owner with this email and password. Raises BadCredentials, TooManyAttempts, HashingBusy.

    An unknown email gets the same error as a wrong password, after the same work.
    """
    async with sessionmaker() as session:
        statement = select(Owner.id, Owner.password_hash).where(Owner.kind == kind, Owner.email == email)
        row = (await session.execute(statement)).one_or_none()
    owner_id: UUID | None = None if row is None else row.id
    password_hash: str | None = None if row is None else row.password_hash
    form = await matching_form(password, password_hash, hasher=hasher, throttle=throttle, email=email, address=address)
    if form is None:
        raise BadCredentials
    assert owner_id is not None
    assert password_hash is not None
    if form == opaque(password):
        await _raise_if_replaced(sessionmaker, owner_id, password_hash)
    else:
        await _hash_again(sessionmaker, owner_id, password_hash, form, hasher)
    return owner_id


async def sign_out(session: AsyncSession, *, identity: Identity) -> None:
    """End this session: every process rejects its token from now on. A second call changes nothing."""
    statement = insert(RevokedToken).values(id=identity.session_id, expires_at=identity.expires_at)
    await session.execute(statement.on_conflict_do_nothing())


async def exchange_pin(
    *,
    identity: Identity,
    pin: str,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    settings: PasswordSettings,
    tokens: Tokens,
) -> IssuedToken:
    """A token that stands for the PIN for a few minutes. Raises PinIncorrect, PinLocked, HashingBusy."""
    pin_hash = await pins.check(sessionmaker, hasher=hasher, settings=settings, owner_id=identity.owner_id, pin=pin)
    return tokens.issue_pin_token(identity, pin_hash)


async def change_person(
    *,
    identity: Identity,
    changes: PersonChanges,
    secrets: SecretsChange | None = None,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> PersonProfile:
    """Change a person's profile and secrets, all or nothing. Raises CurrentPasswordIncorrect, TooManyAttempts,
    HashingBusy.
    """
    hashed = await _hash_secrets(sessionmaker, identity, secrets, hasher, throttle)
    async with sessionmaker.begin() as session:
        if changes:
            await session.execute(update(User).where(User.id == identity.owner_id).values(dict(changes)))
        if hashed is not None:
            await secrets_change.store(session, identity=identity, secrets=hashed)
        return await get_person_profile(session, identity.owner_id)


async def change_shop(
    *,
    identity: Identity,
    changes: ShopChanges,
    secrets: SecretsChange | None = None,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> ShopProfile:
    """Change a shop's profile and secrets, all or nothing. Raises CurrentPasswordIncorrect, TooManyAttempts,
    HashingBusy.
    """
    hashed = await _hash_secrets(sessionmaker, identity, secrets, hasher, throttle)
    async with sessionmaker.begin() as session:
        if changes:
            await session.execute(update(Merchant).where(Merchant.id == identity.owner_id).values(dict(changes)))
        if hashed is not None:
            await secrets_change.store(session, identity=identity, secrets=hashed)
        return await get_shop_profile(session, identity.owner_id)


async def change_secrets(
    *,
    identity: Identity,
    secrets: SecretsChange,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> None:
    """Change the password or the PIN. Raises CurrentPasswordIncorrect, TooManyAttempts, HashingBusy."""
    hashed = await secrets_change.verify_and_hash(
        sessionmaker, identity=identity, change=secrets, hasher=hasher, throttle=throttle
    )
    async with sessionmaker.begin() as session:
        await secrets_change.store(session, identity=identity, secrets=hashed)


async def _raise_if_replaced(sessionmaker: SessionMaker, owner_id: UUID, password_hash: str | None) -> None:
    """Raise BadCredentials if the password has changed since it was compared: a new session would outlive the change.

    The lock waits for a change that is being committed.
    """
    statement = select(Owner.password_hash).where(Owner.id == owner_id).with_for_update(read=True)
    async with sessionmaker.begin() as session:
        if await session.scalar(statement) != password_hash:
            raise BadCredentials


async def _hash_again(
    sessionmaker: SessionMaker, owner_id: UUID, password_hash: str, password: str, hasher: Hasher
) -> None:
    """Store the hash of the prepared password in place of one made before passwords were prepared.

    Raises BadCredentials if the password has changed since it was compared; HashingBusy. Of two sign-ins at once, the
    second finds the hash of the first in place, which is of the same password.
    """
    prepared_hash = await hasher.hash_password(password)
    async with sessionmaker.begin() as session:
        stored = await session.scalar(select(Owner.password_hash).where(Owner.id == owner_id).with_for_update())
        if stored == password_hash:
            await session.execute(update(Owner).where(Owner.id == owner_id).values(password_hash=prepared_hash))
            return
    async with hasher.core() as core:
        if not await core.verify(password, stored):
            raise BadCredentials


async def _hash_secrets(
    sessionmaker: SessionMaker,
    identity: Identity,
    secrets: SecretsChange | None,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> HashedSecrets | None:
    if secrets is None:
        return None
    return await secrets_change.verify_and_hash(
        sessionmaker, identity=identity, change=secrets, hasher=hasher, throttle=throttle
    )
