"""A new owner: profile, wallet, first mail and welcome balance, all in the caller's database transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.auth import email_confirmation, handles
from shared.auth.errors import EmailTaken
from shared.auth.hashing_queue import OURSELVES, Asker
from shared.auth.passwords import Hasher
from shared.auth.tokens import OwnerKind
from shared.ids import new_id
from shared.ledger import post
from shared.ledger.accounts import SPENDABLE_KINDS, open_account
from shared.ledger.rules import Transfer
from shared.ledger.system_accounts import FUNDING
from shared.models import Account, Merchant, Owner, User
from shared.movement_words import WELCOME_GIFT
from shared.outbox.messages import Message, write

_EMAIL_CONSTRAINT = "uq_owners_kind_email"
_HANDLE_CONSTRAINT = "uq_accounts_handle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What an owner signs in with, and the id the owner will have. `email` is in lower case; the secrets are hashed."""

    email: str
    password_hash: str
    pin_hash: str
    owner_id: UUID = field(default_factory=new_id)


async def hash_credentials(
    hasher: Hasher, *, email: str, password: str, pin: str, asker: Asker = OURSELVES
) -> Credentials:
    """Hash the secrets: slow, so call it outside a database transaction. Raises HashingBusy, CallerLeft."""
    return Credentials(
        email=email,
        password_hash=await hasher.hash_password(password, asker),
        pin_hash=await hasher.hash_pin(pin, asker),
    )


async def registered(session: AsyncSession, credentials: Credentials) -> Account | None:
    """The wallet of the owner whom an earlier attempt registered with these credentials."""
    statement = select(Account).where(Account.owner_id == credentials.owner_id, Account.kind.in_(SPENDABLE_KINDS))
    return (await session.execute(statement)).scalar_one_or_none()


async def register_person(
    session: AsyncSession,
    *,
    credentials: Credentials,
    first_name: str,
    last_name: str,
    welcome_balance_paise: int = 0,
    is_system: bool = False,
    app_url: str | None = None,
) -> Account:
    """Add a person. Answers the wallet. With `app_url`, a link there confirms the email. Raises EmailTaken."""
    owner_id = await _add_owner(session, "user", credentials, is_system=is_system)
    session.add(User(id=owner_id, first_name=first_name, last_name=last_name))
    base = handles.handle_base(first_name, otherwise="wallet")
    account = await _open_wallet(session, owner_id, kind="wallet", name="Wallet", base=base)
    await _welcome(session, account, welcome_balance_paise, credentials.email, app_url)
    return account


async def register_shop(
    session: AsyncSession,
    *,
    credentials: Credentials,
    business_name: str,
    category: str | None,
    timezone: str,
    app_url: str | None = None,
) -> Account:
    """Add a shop. Answers its account. With `app_url`, a link there confirms the email. Raises EmailTaken."""
    owner_id = await _add_owner(session, "merchant", credentials, is_system=False)
    session.add(Merchant(id=owner_id, business_name=business_name, category=category, timezone=timezone))
    base = handles.handle_base(business_name, otherwise="shop")
    account = await _open_wallet(session, owner_id, kind="merchant", name=business_name, base=base)
    await _welcome(session, account, 0, credentials.email, app_url)
    return account


async def _add_owner(session: AsyncSession, kind: OwnerKind, credentials: Credentials, *, is_system: bool) -> UUID:
    owner = Owner(
        id=credentials.owner_id,
        kind=kind,
        email=credentials.email,
        password_hash=credentials.password_hash,
        pin_hash=credentials.pin_hash,
        tokens_valid_after=None,
        kept_token_id=None,
        created_at=clock.now(),
    )
    if is_system:
        owner.is_system = True  # left out for others: only the schema's owner may write this column
    session.add(owner)
    try:
        await session.flush()
    except IntegrityError as error:
        if _EMAIL_CONSTRAINT in str(error.orig):
            raise EmailTaken from None
        raise
    return owner.id


async def _open_wallet(
    session: AsyncSession, owner_id: UUID, *, kind: Literal["wallet", "merchant"], name: str, base: str
) -> Account:
    wanted = list(handles.candidates(base))
    taken = set(await session.scalars(select(Account.handle).where(Account.handle.in_(wanted))))
    free = [handle for handle in wanted if handle not in taken]
    for handle in free:
        try:
            async with session.begin_nested():  # another owner may take it between the select and the insert
                return await open_account(session, owner_id=owner_id, kind=kind, name=name, handle=handle)
        except IntegrityError as error:
            if _HANDLE_CONSTRAINT not in str(error.orig) or handle == free[-1]:
                raise
    raise LookupError(f"none of {len(wanted)} handles for {base!r} is free")


async def _welcome(
    session: AsyncSession, account: Account, balance_paise: int, email: str, app_url: str | None
) -> None:
    """Post the welcome balance, if there is one, and send the first mail: the welcome, or the link before it."""
    assert account.owner_id is not None
    if balance_paise > 0:
        gift = Transfer(
            id=new_id(),
            kind="funding",
            debit_account_id=FUNDING,
            credit_account_id=account.id,
            amount=balance_paise,
            note=WELCOME_GIFT,
        )
        await post.post_one(session, gift)
    gift_paise = balance_paise or None
    if app_url is None:
        await write(session, [Message("welcome", account.owner_id, {"gift": gift_paise})])
    else:
        await email_confirmation.begin(
            session, owner_id=account.owner_id, address=email, app_url=app_url, gift=gift_paise
        )
