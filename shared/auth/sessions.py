"""Who is calling: one statement answers for all signed-in requests that ask at that moment.

Every request reads Postgres, so that a sign-out or a new password holds at once, whatever happens to Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.auth.email_confirmation import AWAITED
from shared.auth.tokens import Claims, Identity, SessionState, Tokens
from shared.db.direct import IS_STANDBY, of_primary
from shared.db.gather import Gather
from shared.ledger.accounts import Wallet

# An inner query is always answered by key. A join could read all revoked tokens, by a plan made when there were few.
STATE_COLUMNS = """
    owner.kind, owner.is_system, owner.tokens_valid_after, owner.kept_token_id,
    (SELECT id FROM revoked_tokens WHERE id = asked.token_id) IS NOT NULL
"""
"""The fields of a SessionState, in its order, for statements that have OWNER_JOIN."""
OWNER_JOIN = "LEFT JOIN owners owner ON owner.id = asked.owner_id"
WALLET_JOIN = "LEFT JOIN accounts wallet ON wallet.owner_id = asked.owner_id AND wallet.kind IN ('wallet', 'merchant')"

_ASK = f"""
    SELECT {STATE_COLUMNS}, wallet.id, wallet.handle, wallet.balance, wallet.held, wallet.currency,
           wallet.frozen_at IS NOT NULL, wallet.seq, {{awaits}}, {IS_STANDBY}
    FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS asked (owner_id, token_id, place)
    {OWNER_JOIN} {WALLET_JOIN}
    ORDER BY asked.place
"""  # noqa: S608 - constants of this file
_STATE_SIZE = len(SessionState._fields)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The caller, and the wallet as it stood when the session was checked."""

    identity: Identity
    wallet: Wallet
    awaits_confirmation: bool | None
    """Whether the email address is still to be confirmed; None unless it was asked for a page, which shows it."""


class Sessions:
    """Checks the sessions of one app."""

    def __init__(self, engine: AsyncEngine, tokens: Tokens) -> None:
        self._tokens = tokens
        # To look for a confirmation takes Postgres a third of all that it does for a session, when many ask at once.
        self._gather = Gather(engine, partial(_ask_all, _ASK.format(awaits="CAST(NULL AS boolean)")))
        self._gather_for_pages = Gather(engine, partial(_ask_all, _ASK.format(awaits=AWAITED)))

    async def check(self, token: str, *, for_page: bool = False) -> SignedIn:
        """The owner of a session token. Raises TokenInvalid, TokenExpired, TokenRevoked."""
        claims = self._tokens.read(token)
        row = await (self._gather_for_pages if for_page else self._gather).ask(claims, claims.owner_id)
        identity = self._tokens.identify(claims, SessionState._make(row[:_STATE_SIZE]))
        return SignedIn(identity, Wallet(*row[_STATE_SIZE:-2]), row[-2])


async def _ask_all(statement: str, connection: asyncpg.Connection, asked: Sequence[Claims]) -> Sequence[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(
        statement, [each.owner_id for each in asked], [each.token_id for each in asked]
    )
    return of_primary(rows)
