"""The commands of this flow: sign up, sign in, sign out, exchange the PIN for a token, change a profile."""

from __future__ import annotations

from typing import TypedDict
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.audit.kinds import Kind
from shared.auth import names, pins, secrets_change
from shared.auth.audited import RefusalsAudited, record
from shared.auth.devices import Devices
from shared.auth.errors import BadCredentials
from shared.auth.hashing_queue import Asker
from shared.auth.password_check import PasswordCheck
from shared.auth.passwords import Hasher
from shared.auth.queries import find_credentials, get_person_profile, get_shop_profile
from shared.auth.registration import hash_credentials, register_person, register_shop, registered
from shared.auth.second_factor import SecondFactorCheck
from shared.auth.secrets_change import HashedSecrets, SecretsChange
from shared.auth.throttle import SignInThrottle
from shared.auth.tokens import Identity, IssuedToken, OwnerKind, Tokens
from shared.auth.views import PersonProfile, ShopProfile
from shared.auth.weak_secrets import require_strong
from shared.config import PasswordSettings
from shared.db.engine import SessionMaker
from shared.db.reads import Reads
from shared.db.retries import in_transaction
from shared.models import Account, Merchant, Owner, RevokedToken, User
from shared.spelling import opaque

_SIGNS_UP = "signs up"
"""All who sign up at one address wait in one line: those who sign in there wait in others."""


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
    app_url: str,
    address: str,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> PersonProfile:
    """Sign up a person with a wallet. Raises NameNotAllowed, TooManySignUps, WeakSecret, HashingBusy, EmailTaken."""
    names.require_person(first_name, last_name)
    with RefusalsAudited(address=address):
        await throttle.count_sign_up(address)
    require_strong(email=email, names=(first_name, last_name), password=password, pin=pin)
    asker = Asker.stranger(_SIGNS_UP, address)
    credentials = await hash_credentials(hasher, email=email, password=password, pin=pin, asker=asker)

    async def register(session: AsyncSession) -> Account:
        return await registered(session, credentials) or await register_person(
            session,
            credentials=credentials,
            first_name=first_name,
            last_name=last_name,
            welcome_balance_paise=welcome_balance_paise,
            app_url=app_url,
        )

    wallet = await in_transaction(sessionmaker, register)
    assert wallet.owner_id is not None
    assert wallet.handle is not None
    record(Kind.SIGNED_UP, owner_id=wallet.owner_id, address=address)
    record(Kind.EMAIL_CONFIRMATION_ASKED, owner_id=wallet.owner_id, address=address, what="sign_up")
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
    app_url: str,
    address: str,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> ShopProfile:
    """Sign up a shop with its account. Raises NameNotAllowed, TooManySignUps, WeakSecret, HashingBusy, EmailTaken."""
    names.require_shop(business_name)
    with RefusalsAudited(address=address):
        await throttle.count_sign_up(address)
    require_strong(email=email, names=(business_name,), password=password, pin=pin)
    asker = Asker.stranger(_SIGNS_UP, address)
    credentials = await hash_credentials(hasher, email=email, password=password, pin=pin, asker=asker)

    async def register(session: AsyncSession) -> Account:
        return await registered(session, credentials) or await register_shop(
            session,
            credentials=credentials,
            business_name=business_name,
            category=category,
            timezone=timezone,
            app_url=app_url,
        )

    account = await in_transaction(sessionmaker, register)
    assert account.owner_id is not None
    assert account.handle is not None
    record(Kind.SIGNED_UP, owner_id=account.owner_id, address=address)
    record(Kind.EMAIL_CONFIRMATION_ASKED, owner_id=account.owner_id, address=address, what="sign_up")
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
    code: str | None,
    address: str,
    device_cookie: str,
    reads: Reads,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    throttle: SignInThrottle,
    devices: Devices,
    second_factor: SecondFactorCheck,
) -> UUID:
    """The id of the owner with this email and password. Raises BadCredentials, TooManyAttempts, HashingBusy.

    An unknown email gets the same error as a wrong password, after the same work. `device_cookie` is what the browser
    sent: a device that is known is not slowed down by what others do. The platform's own user needs `code` as well: see
    SecondFactorCheck for what it raises then.
    """
    found = await find_credentials(reads, kind=kind, email=email)
    owner_id = None if found is None else found.owner_id
    device_id = None if owner_id is None else devices.known(owner_id, device_cookie)
    if owner_id is None or device_id is None:
        asker, attempt = Asker.stranger(email, address), throttle.by_stranger(email, address)
    else:
        asker, attempt = Asker.owner(owner_id, address), throttle.by_device(device_id)
    with RefusalsAudited(owner_id=owner_id, address=address):
        check = PasswordCheck(hasher, throttle, asker, attempt)
        form = await check.matching_form(password, None if found is None else found.password_hash)
        if form is None or found is None:
            raise BadCredentials
        if form == opaque(password):
            await _raise_if_replaced(sessionmaker, found.owner_id, found.password_hash)
        else:
            await _hash_again(sessionmaker, found.owner_id, found.password_hash, form, check)
        if found.is_system:
            await second_factor.require(found.owner_id, code)
    record(Kind.SIGN_IN_SUCCEEDED, owner_id=found.owner_id, address=address)
    return found.owner_id


async def sign_out(sessionmaker: SessionMaker, *, identity: Identity, address: str) -> None:
    """End this session: every process rejects its token from now on. A second call changes nothing."""
    statement = insert(RevokedToken).values(id=identity.session_id, expires_at=identity.expires_at)
    await in_transaction(sessionmaker, lambda session: session.execute(statement.on_conflict_do_nothing()))
    record(Kind.SESSION_ENDED, owner_id=identity.owner_id, address=address)


async def exchange_pin(
    *,
    identity: Identity,
    pin: str,
    address: str,
    sessionmaker: SessionMaker,
    reads: Reads,
    hasher: Hasher,
    settings: PasswordSettings,
    tokens: Tokens,
) -> IssuedToken:
    """A token that stands for the PIN for a few minutes. Raises PinIncorrect, PinLocked, HashingBusy."""
    pin_hash = await pins.check(
        sessionmaker, reads, hasher=hasher, settings=settings, owner_id=identity.owner_id, pin=pin, address=address
    )
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
    """Change a person's profile and secrets, all or nothing. A name that stays is not judged.

    Raises NameNotAllowed, CurrentPasswordIncorrect, WeakSecret, TooManyAttempts, HashingBusy.
    """
    hashed = await _hash_secrets(sessionmaker, identity, secrets, hasher, throttle)

    async def change(session: AsyncSession) -> PersonProfile:
        before = await get_person_profile(session, identity.owner_id)
        if changes:
            await session.execute(update(User).where(User.id == identity.owner_id).values(dict(changes)))
        if hashed is not None:
            await secrets_change.store(session, identity=identity, secrets=hashed)
        after = await get_person_profile(session, identity.owner_id)
        if after.name != before.name:
            names.require_person(after.first_name, after.last_name)
        return after

    after = await in_transaction(sessionmaker, change)
    _record_change(identity, secrets)
    return after


async def change_shop(
    *,
    identity: Identity,
    changes: ShopChanges,
    secrets: SecretsChange | None = None,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> ShopProfile:
    """Change a shop's profile and secrets, all or nothing. A name that stays is not judged.

    Raises NameNotAllowed, CurrentPasswordIncorrect, WeakSecret, TooManyAttempts, HashingBusy.
    """
    hashed = await _hash_secrets(sessionmaker, identity, secrets, hasher, throttle)

    async def change(session: AsyncSession) -> ShopProfile:
        before = await get_shop_profile(session, identity.owner_id)
        if changes:
            await session.execute(update(Merchant).where(Merchant.id == identity.owner_id).values(dict(changes)))
        if hashed is not None:
            await secrets_change.store(session, identity=identity, secrets=hashed)
        after = await get_shop_profile(session, identity.owner_id)
        if after.business_name != before.business_name:
            names.require_shop(after.business_name)
        return after

    after = await in_transaction(sessionmaker, change)
    _record_change(identity, secrets)
    return after


async def change_secrets(
    *,
    identity: Identity,
    secrets: SecretsChange,
    sessionmaker: SessionMaker,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> None:
    """Change the password or the PIN. Raises CurrentPasswordIncorrect, WeakSecret, TooManyAttempts, HashingBusy."""
    hashed = await secrets_change.verify_and_hash(
        sessionmaker, identity=identity, change=secrets, hasher=hasher, throttle=throttle
    )
    await in_transaction(sessionmaker, lambda session: secrets_change.store(session, identity=identity, secrets=hashed))
    _record_change(identity, secrets)


def _record_change(identity: Identity, secrets: SecretsChange | None) -> None:
    if secrets is None:
        return
    if secrets.new_password is not None:
        record(Kind.PASSWORD_CHANGED, owner_id=identity.owner_id, address=secrets.address)
    if secrets.new_pin is not None:
        record(Kind.PIN_CHANGED, owner_id=identity.owner_id, address=secrets.address)


async def _raise_if_replaced(sessionmaker: SessionMaker, owner_id: UUID, password_hash: str | None) -> None:
    """Raise BadCredentials if the password has changed since it was compared: a new session would outlive the change.

    The lock waits for a change that is being committed.
    """
    statement = select(Owner.password_hash).where(Owner.id == owner_id).with_for_update(read=True)
    if await in_transaction(sessionmaker, lambda session: session.scalar(statement)) != password_hash:
        raise BadCredentials


async def _hash_again(
    sessionmaker: SessionMaker, owner_id: UUID, password_hash: str, password: str, check: PasswordCheck
) -> None:
    """Store the hash of the prepared password in place of one made before passwords were prepared.

    Raises BadCredentials if the password has changed since it was compared; HashingBusy. Of two sign-ins at once, the
    second finds the hash of the first in place, which is of the same password.
    """
    prepared_hash = await check.hasher.hash_password(password, check.asker)

    async def replace(session: AsyncSession) -> str | None:
        stored = await session.scalar(select(Owner.password_hash).where(Owner.id == owner_id).with_for_update())
        if stored == password_hash:
            await session.execute(update(Owner).where(Owner.id == owner_id).values(password_hash=prepared_hash))
            return prepared_hash
        return stored

    stored = await in_transaction(sessionmaker, replace)
    if stored == prepared_hash:
        return
    async with check.hasher.core(check.asker) as core:
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
