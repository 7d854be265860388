"""Confirm an email address by a link that is mailed to it: send it, send it again, correct the address, confirm.

A row of `email_confirmations` is an address that is still to be confirmed. Its token is random; only its hash is kept,
and an address has one at a time, which works once and for LINK_LIFETIME.
"""

from __future__ import annotations

import hashlib
import math
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.audit.kinds import Kind
from shared.auth import secrets_change
from shared.auth.audited import RefusalsAudited, record
from shared.auth.errors import ConfirmationLinkInvalid, EmailConfirmed, EmailUnverified, TooManyConfirmationMails
from shared.auth.passwords import Hasher
from shared.auth.secrets_change import SecretsChange
from shared.auth.throttle import SignInThrottle
from shared.auth.tokens import Identity
from shared.db.engine import SessionMaker
from shared.db.retries import in_transaction
from shared.ids import new_token
from shared.models import EmailConfirmation, Owner
from shared.outbox.messages import Message, write

LINK_LIFETIME = timedelta(hours=24)
"""How long a link works. The mail says so."""
MAIL_PAUSE_SECONDS = 60
"""Between two links to one owner's address."""
CONFIRMATION_MAILS_PER_DAY = 5
"""Links for one owner in a day, the one of the sign-up among them: a sign-up fills no one's mailbox."""
_DAY = timedelta(days=1)

AWAITED = "(SELECT owner_id FROM email_confirmations WHERE owner_id = asked.owner_id) IS NOT NULL"
"""In SQL text: whether the owner's address is still to be confirmed."""


async def begin(session: AsyncSession, *, owner_id: UUID, address: str, app_url: str, gift: int | None) -> None:
    """Let a new owner confirm `address` by a link of the app at `app_url`. The welcome mail follows, with the gift."""
    now, token = clock.now(), new_token(32)
    row = EmailConfirmation(
        owner_id=owner_id,
        address=address,
        token_hash=_hash(token),
        expires_at=now + LINK_LIFETIME,
        sent_at=now,
        counted_since=now,
        mails=1,
        gift=gift,
    )
    session.add(row)
    await session.flush()
    await _mail(session, row, token, app_url)


async def require(session: AsyncSession, owner_id: UUID) -> None:
    """Let money leave only if the owner's address is confirmed. Raises EmailUnverified."""
    if await awaited_address(session, owner_id) is not None:
        raise EmailUnverified


async def awaited_address(session: AsyncSession, owner_id: UUID) -> str | None:
    """The address that is still to be confirmed, or None."""
    statement = select(EmailConfirmation.address).where(EmailConfirmation.owner_id == owner_id)
    address: str | None = await session.scalar(statement)
    return address


async def send_again(sessionmaker: SessionMaker, *, owner_id: UUID, app_url: str) -> None:
    """Send a new link to the same address. Raises EmailConfirmed, TooManyConfirmationMails."""
    with RefusalsAudited(owner_id=owner_id):
        await _replace_link(sessionmaker, owner_id, None, app_url)
    record(Kind.EMAIL_CONFIRMATION_ASKED, owner_id=owner_id, what="again")


async def correct(
    sessionmaker: SessionMaker,
    *,
    identity: Identity,
    proof: SecretsChange,
    address: str,
    app_url: str,
    hasher: Hasher,
    throttle: SignInThrottle,
) -> None:
    """Send a new link to another address, which becomes the owner's once it is confirmed. `proof` has the password.

    Whether the address is another owner's is not looked at before: only who reads its mail can learn it.

    Raises EmailConfirmed, TooManyConfirmationMails, CurrentPasswordIncorrect, TooManyAttempts, HashingBusy.
    """
    await secrets_change.verify_and_hash(
        sessionmaker, identity=identity, change=proof, hasher=hasher, throttle=throttle
    )
    with RefusalsAudited(owner_id=identity.owner_id):
        await _replace_link(sessionmaker, identity.owner_id, address, app_url)
    record(Kind.EMAIL_CONFIRMATION_ASKED, owner_id=identity.owner_id, what="corrected")


async def address_of(session: AsyncSession, token: str) -> str:
    """The address that the link confirms. Raises ConfirmationLinkInvalid."""
    statement = select(EmailConfirmation.address).where(
        EmailConfirmation.token_hash == _hash(token), EmailConfirmation.expires_at > clock.now()
    )
    address: str | None = await session.scalar(statement)
    if address is None:
        raise ConfirmationLinkInvalid
    return address


async def confirm(sessionmaker: SessionMaker, token: str) -> None:
    """Confirm the address that the link was sent to, and send the welcome mail.

    Raises ConfirmationLinkInvalid: unknown, used, replaced or expired, or the address has become another owner's.
    """
    statement = (
        delete(EmailConfirmation)
        .where(EmailConfirmation.token_hash == _hash(token), EmailConfirmation.expires_at > clock.now())
        .returning(EmailConfirmation.owner_id, EmailConfirmation.address, EmailConfirmation.gift)
    )

    async def use(session: AsyncSession) -> UUID:
        row = (await session.execute(statement)).one_or_none()
        if row is None:
            raise ConfirmationLinkInvalid
        corrected = update(Owner).where(Owner.id == row.owner_id, Owner.email != row.address)
        await session.execute(corrected.values(email=row.address))
        # The link shows who reads the mail, not who signed up: the mail has no word that was chosen at sign-up.
        await write(session, [Message("welcome", row.owner_id, {"gift": row.gift})])
        owner_id: UUID = row.owner_id
        return owner_id

    try:
        # A link that was used leaves nothing to find it by.
        owner_id = await in_transaction(sessionmaker, use, at_most_once=True)
    except IntegrityError as error:
        if "uq_owners_kind_email" in str(error.orig):
            raise ConfirmationLinkInvalid from None
        raise
    record(Kind.EMAIL_CONFIRMED, owner_id=owner_id)


async def _replace_link(sessionmaker: SessionMaker, owner_id: UUID, address: str | None, app_url: str) -> None:
    """Mail a new link to `address`, or to the one that is awaited."""
    token = new_token(32)

    async def replace(session: AsyncSession) -> None:
        row = await _locked(session, owner_id)
        if row.token_hash != _hash(token):  # else an attempt whose commit was not answered has done it
            await _send(session, row, row.address if address is None else address, app_url, token)

    await in_transaction(sessionmaker, replace)


async def _locked(session: AsyncSession, owner_id: UUID) -> EmailConfirmation:
    row = await session.get(EmailConfirmation, owner_id, with_for_update=True)
    if row is None:
        raise EmailConfirmed
    return row


async def _send(session: AsyncSession, row: EmailConfirmation, address: str, app_url: str, token: str) -> None:
    now = clock.now()
    if now >= row.counted_since + _DAY:
        row.counted_since, row.mails = now, 0
    free_at = row.sent_at + timedelta(seconds=MAIL_PAUSE_SECONDS)
    if row.mails >= CONFIRMATION_MAILS_PER_DAY:
        free_at = max(free_at, row.counted_since + _DAY)
    if now < free_at:
        raise TooManyConfirmationMails(math.ceil((free_at - now).total_seconds()))
    row.address, row.token_hash = address, _hash(token)
    row.expires_at, row.sent_at, row.mails = now + LINK_LIFETIME, now, row.mails + 1
    await session.flush()
    await _mail(session, row, token, app_url)


async def _mail(session: AsyncSession, row: EmailConfirmation, token: str, app_url: str) -> None:
    facts = {"to": row.address, "link": f"{app_url.rstrip('/')}/confirm-email?token={token}"}
    await write(session, [Message("confirm_email", row.owner_id, facts)])


def _hash(token: str) -> str:
    """The token has 256 random bits: a fast hash keeps it as well as a slow one."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
