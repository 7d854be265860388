"""Who is calling: one statement answers for all signed-in requests that ask at that moment.

Every request reads Postgres, so that a sign-out or a new password holds at once, whatever happens to Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.auth.tokens import Claims, Identity, SessionState, Tokens
from shared.db.gather import Gather
from shared.ledger.accounts import Wallet

STATE_COLUMNS = (
    "owner.kind, owner.is_system, owner.tokens_valid_after, owner.kept_token_id, revoked.id IS NOT NULL AS is_revoked"
)
"""The fields of a SessionState, in its order, for statements that have STATE_JOINS."""
STATE_JOINS = """
    LEFT JOIN owners owner ON owner.id = asked.owner_id
    LEFT JOIN revoked_tokens revoked ON revoked.id = asked.token_id
"""
WALLET_JOIN = "LEFT JOIN accounts wallet ON wallet.owner_id = asked.owner_id AND wallet.kind IN ('wallet', 'merchant')"

_ASK = f"""
    SELECT {STATE_COLUMNS}, wallet.id, wallet.handle, wallet.balance, wallet.held, wallet.currency
    FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS asked (owner_id, token_id, place)
    {STATE_JOINS} {WALLET_JOIN}
    ORDER BY asked.place
"""  # noqa: S608 - constants of this file
_STATE_SIZE = len(SessionState._fields)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The caller, and the wallet as it stood when the session was checked."""

    identity: Identity
    wallet: Wallet


class Sessions:
    """Checks the sessions of one app."""

    def __init__(self, engine: AsyncEngine, tokens: Tokens) -> None:
        self._tokens = tokens
        self._gather = Gather(engine, _ask_all)

    async def check(self, token: str) -> SignedIn:
        """The owner of a session token. Raises TokenInvalid, TokenExpired, TokenRevoked."""
        claims = self._tokens.read(token)
        row = await self._gather.ask(claims, claims.owner_id)
        identity = self._tokens.identify(claims, SessionState._make(row[:_STATE_SIZE]))
        return SignedIn(identity, Wallet(*row[_STATE_SIZE:]))


async def _ask_all(connection: asyncpg.Connection, asked: Sequence[Claims]) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(
        _ASK, [each.owner_id for each in asked], [each.token_id for each in asked]
    )
    return rows
