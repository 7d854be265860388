"""Notice whose wallet a transaction changes, and say so once it is committed. Never before, never when it is not.

The rooms that change something note it; the process decides whether anybody is told (`announce_commits`). One that
tells nobody, such as the bank webhook, loses nothing: whoever listens also looks for himself, a moment later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

_NOTED = "accounts_changed"


def wake_after_commit(session: AsyncSession, account_ids: Iterable[UUID]) -> None:
    """The session's transaction changes these accounts, or what their owners see beside them."""
    session.info.setdefault(_NOTED, set()).update(account_ids)


def announce_commits(sessionmaker: async_sessionmaker[AsyncSession], tell: Callable[[Set[UUID]], None]) -> None:
    """From now on `tell` is called after each commit with what was noted. It must not raise and must not wait."""

    class AnnouncingSession(Session):
        """A class of its own, so that sessions of other makers are not listened to."""

    @event.listens_for(AnnouncingSession, "after_commit")
    def _committed(session: Session) -> None:
        if session.in_nested_transaction():
            return  # a savepoint: the transaction may still be rolled back
        noted: set[UUID] = session.info.pop(_NOTED, set())
        if noted:
            tell(noted)

    sessionmaker.configure(sync_session_class=AnnouncingSession)
