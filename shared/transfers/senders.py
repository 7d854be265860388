"""What must be known before money is sent: one statement answers for all who send at that moment.

Session, PIN and both parties come from one snapshot, taken after the request arrived. Nothing of it is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.auth import pins, sessions
from shared.auth.email_confirmation import AWAITED
from shared.auth.pins import PinState
from shared.auth.tokens import SessionState
from shared.config import PasswordSettings
from shared.db.direct import IS_STANDBY, of_primary
from shared.db.gather import Gather
from shared.ledger.errors import AccountNotFound
from shared.ledger.parties import HOLDER_COLUMNS, Holder
from shared.transfers.errors import RecipientNotFound
from shared.transfers.planning import account_id_in
from shared.transfers.views import Ends

_WALLET = HOLDER_COLUMNS.format(account="wallet")
_PAYEE = HOLDER_COLUMNS.format(account="payee")
_ASK = f"""
    SELECT {sessions.STATE_COLUMNS}, {pins.STATE_COLUMNS.format(window_start="$6::timestamptz", attempts="$7::int")},
           {_WALLET}, {_PAYEE}, source.id, source.owner_id, source.kind, source.name,
           target.id, target.owner_id, target.kind, target.name, {{is_unverified}}, {IS_STANDBY}
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[])
         WITH ORDINALITY AS asked (owner_id, token_id, handle, source_id, target_id, place)
    {sessions.OWNER_JOIN} {sessions.WALLET_JOIN}
    LEFT JOIN accounts payee ON payee.handle = asked.handle
    LEFT JOIN accounts source ON source.id = asked.source_id
    LEFT JOIN accounts target ON target.id = asked.target_id
    ORDER BY asked.place
"""  # noqa: S608 - constants of this code


class Sender(NamedTuple):
    """An owner who sends money `to` a wallet id or an own account, from an own account or else the wallet."""

    to: str | None
    from_account: UUID | None
    session: SessionState
    pin: PinState
    wallet: Holder
    source: Holder | None
    recipient: Holder | None
    is_unverified: bool
    """Whether money may not leave before the owner confirms the email address."""

    @property
    def ends(self) -> Ends:
        """Who pays and who is paid. Raises AccountNotFound, RecipientNotFound."""
        if self.source is None:
            raise AccountNotFound
        if self.recipient is None:
            raise RecipientNotFound
        return Ends(self.source, self.recipient)

    @property
    def is_for_another(self) -> bool:
        """Whether the recipient is known and another owner."""
        return self.recipient is not None and self.recipient.owner_id != self.wallet.owner_id


class _Question(NamedTuple):
    owner_id: UUID
    session_id: UUID
    handle: str | None
    source_id: UUID | None
    target_id: UUID | None


class Senders:
    """Finds the senders of one app."""

    def __init__(self, engine: AsyncEngine, settings: PasswordSettings, *, requires_verified_email: bool) -> None:
        self._settings = settings
        self._statement = _ASK.format(is_unverified=AWAITED if requires_verified_email else "false")
        self._gather = Gather(engine, self._ask_all)

    async def find(
        self, *, owner_id: UUID, session_id: UUID, to: str | None = None, from_account: UUID | None = None
    ) -> Sender:
        """What Postgres says now. `to` is a wallet id in lower case, the id of an account, or None for nothing yet."""
        target_id = None if to is None else account_id_in(to)
        handle = to if target_id is None else None
        row = await self._gather.ask(_Question(owner_id, session_id, handle, from_account, target_id), owner_id)
        wallet = Holder._make(row[7:13])
        return Sender(
            to=to,
            from_account=from_account,
            session=SessionState._make(row[:5]),
            pin=PinState._make(row[5:7]),
            wallet=wallet,
            source=wallet if from_account is None else _own(wallet, *row[19:23]),
            recipient=_own(wallet, *row[23:27]) if row[13] is None else Holder._make(row[13:19]),
            is_unverified=row[27],
        )

    async def _ask_all(self, connection: asyncpg.Connection, asked: Sequence[_Question]) -> Sequence[asyncpg.Record]:
        rows: list[asyncpg.Record] = await connection.fetch(
            self._statement,
            [each.owner_id for each in asked],
            [each.session_id for each in asked],
            [each.handle for each in asked],
            [each.source_id for each in asked],
            [each.target_id for each in asked],
            pins.window_start(self._settings),
            self._settings.pin_attempts,
        )
        return of_primary(rows)


def _own(wallet: Holder, account_id: UUID, owner_id: UUID | None, kind: str, name: str) -> Holder | None:
    """The account that an id names, if it is one of the wallet's owner: others are reached by wallet id."""
    if owner_id is None or owner_id != wallet.owner_id:
        return None
    return Holder(account_id, owner_id, kind, name, wallet.wallet_id, wallet.owner_name)
