"""Finding the people one can send money to."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.models import Account, Owner, User


@dataclass(frozen=True, slots=True)
class Person:
    """What anybody who signed in may know of somebody: never the email."""

    id: UUID
    first_name: str
    last_name: str
    wallet_id: str


async def find_people(
    session: AsyncSession, *, asked_by: UUID, text: str, limit: int, after: UUID | None = None
) -> list[Person]:
    """People whose name or wallet id contains `text`, in any case; everybody when it is empty.

    Shops, the platform's own user and the person asking are not among them. Oldest member first,
    those after the person `after`.
    """
    statement = (
        select(User.id, User.first_name, User.last_name, Account.handle)
        .join(Owner, Owner.id == User.id)
        .join(Account, Account.owner_id == User.id)
        .where(Account.kind == "wallet", Account.closed_at.is_(None), Owner.is_system.is_(False), User.id != asked_by)
        .order_by(User.id)
        .limit(limit)
    )
    words = " ".join(text.split())
    if words:
        full_name = User.first_name + " " + User.last_name
        # Every wallet id ends alike, so the end counts only when it was typed.
        wallet_id = Account.handle if "@" in words else func.split_part(Account.handle, "@", 1)
        statement = statement.where(
            or_(full_name.icontains(words, autoescape=True), wallet_id.icontains(words, autoescape=True))
        )
    if after is not None:
        statement = statement.where(User.id > after)
    rows = (await session.execute(statement)).all()
    return [Person(row.id, row.first_name, row.last_name, row.handle) for row in rows]
