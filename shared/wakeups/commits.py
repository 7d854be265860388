"""Wake the pages of the owners whose accounts a transaction changed, after its commit; a rollback wakes none.

Code that changes an account calls `wake_after_commit`. The process chooses whether wake-ups are published
(`announce_commits`). The bank webhook publishes none: listeners poll Postgres every second as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

_CHANGED_ACCOUNTS = "accounts_changed"


def wake_after_commit(session: AsyncSession, account_ids: Iterable[UUID]) -> None:
    """Record that this transaction changes what the owners of these accounts see."""
    session.info.setdefault(_CHANGED_ACCOUNTS, set()).update(account_ids)


def announce_commits(sessionmaker: async_sessionmaker[AsyncSession], tell: Callable[[Set[UUID]], None]) -> None:
    """Call `tell` after each commit with the recorded account ids. `tell` must not raise and must not block."""

    class AnnouncingSession(Session):
        """A separate class, so that the listener hears only sessions of this sessionmaker."""

    @event.listens_for(AnnouncingSession, "after_commit")
    def _committed(session: Session) -> None:
        if session.in_nested_transaction():
            return  # a savepoint: the transaction may still be rolled back
        changed: set[UUID] = session.info.pop(_CHANGED_ACCOUNTS, set())
        if changed:
            tell(changed)

    sessionmaker.configure(sync_session_class=AnnouncingSession)
