"""The queue of mails in Postgres: bundle new messages, take due mails, record what became of them.

A message about money received joins the open bundle of its owner, or begins one. A bundle is one mail; its first
message stands for it in the queue, and its id is the mail's. A bundle is closed when it is taken for the first time, so
every copy of the mail tells of the same messages. Any other message is a mail of its own.

Each function is one short transaction. An advisory lock lets one worker at a time bundle or take, so that no message
joins a bundle that is just being closed; sending is not under it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import smallest_id

BUNDLE_SECONDS = 50.0
"""After a mail about money received, its owner gets the next one no sooner than this."""
BUNDLE_BATCH = 2000
"""New messages that one transaction bundles at most."""
MAX_BUNDLE = 50_000
"""A bundle with so many messages takes no more: the statements about one mail stay short."""
NEWEST_SHOWN = 5
"""Messages that the mail of a bundle names one by one."""
BATCH = 100
"""Mails that one transaction takes at most."""
MAX_COUNTED = 10_000
"""Mails that the backlog counts at most."""
KEPT_FOR = timedelta(days=7)
"""A message is deleted this long after its mail was sent. One that was given up goes this long after it was written,
which is days after the last attempt."""
PURGE_BATCH = 5000
"""Messages that one transaction deletes at most."""

LOCK_KEY = 4_715_022
"""The advisory lock under which one worker at a time bundles or takes."""

# Plans for these values: a generic plan knows no limit. Whatever the planner thinks of the filters, an index is right,
# and in its order: statistics from before a burst make a sort of the whole backlog look cheap, for each batch.
BEGIN = text("""
    SELECT pg_advisory_xact_lock(:key), set_config('plan_cache_mode', 'force_custom_plan', true),
           set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)
""")

# A message that another version has tried to send keeps its own Message-ID. One without an amount cannot be added up.
_CAN_JOIN = """
    message.bundle_id IS NULL AND message.attempts = 0 AND message.kind = 'money_received'
    AND jsonb_typeof(message.facts -> 'amount') = 'number' AND message.facts ->> 'amount' ~ '^[0-9]{1,15}$'
"""
# The newest bundle of an owner: the open one if there is one, else the one closed last. An owner's messages are
# an array: a join of what was found with what was decided compares each with each when statistics are old.
BUNDLE = text(f"""
    WITH found AS MATERIALIZED (
        SELECT message.id, message.owner_id, message.created_at FROM outbox_messages message
        WHERE message.next_attempt_at <= :now AND {_CAN_JOIN}
        ORDER BY message.next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), first AS (
        SELECT owner_id, array_agg(id ORDER BY created_at, id) AS ids FROM found GROUP BY owner_id
    ), decided AS MATERIALIZED (
        SELECT first.ids, first.ids[1] AS first_id, newest.id AS newest_id,
               newest.id IS NOT NULL AND newest.closed_at IS NULL AND newest.is_full AS is_full,
               newest.id IS NOT NULL AND newest.closed_at IS NULL AND NOT newest.is_full AS is_open,
               coalesce(newest.next_attempt_at,
                        coalesce(newest.sent_at, newest.closed_at) + CAST(:pause AS interval)) AS not_before
        FROM first LEFT JOIN LATERAL (
            SELECT id, closed_at, sent_at, next_attempt_at, closed_at IS NULL AND :max_bundle <= (
                SELECT count(*) FROM (
                    SELECT FROM outbox_messages WHERE bundle_id = bundle.id AND sent_at IS NULL LIMIT :max_bundle
                ) counted
            ) AS is_full
            FROM outbox_messages bundle
            WHERE bundle.owner_id = first.owner_id AND bundle.bundle_id = bundle.id
            ORDER BY bundle.closed_at DESC NULLS FIRST LIMIT 1
        ) newest ON true
    ), filled AS (
        UPDATE outbox_messages SET closed_at = :now WHERE id IN (SELECT newest_id FROM decided WHERE is_full)
    )
    UPDATE outbox_messages message
    SET bundle_id = CASE WHEN decided.is_open THEN decided.newest_id ELSE decided.first_id END,
        next_attempt_at = CASE WHEN NOT decided.is_open AND message.id = decided.first_id
                               THEN greatest(message.next_attempt_at, decided.not_before) END
    FROM decided CROSS JOIN LATERAL unnest(decided.ids) AS member (id)
    WHERE message.id = member.id
""")  # noqa: S608 - constants of this file
# An open bundle waits while the one before it is being sent or tried again: so an owner has one at a time on the way.
_IS_DUE = f"""
    message.next_attempt_at <= :now
    AND (message.bundle_id = message.id OR (message.bundle_id IS NULL AND ({_CAN_JOIN}) IS NOT TRUE))
    AND (message.bundle_id IS NULL OR message.closed_at IS NOT NULL OR (
        SELECT earlier.next_attempt_at FROM outbox_messages earlier
        WHERE earlier.owner_id = message.owner_id AND earlier.bundle_id = earlier.id AND earlier.closed_at IS NOT NULL
        ORDER BY earlier.closed_at DESC LIMIT 1
    ) IS NULL)
"""  # noqa: S608 - constants of this file
ANY_DUE = text(f"SELECT EXISTS (SELECT FROM outbox_messages message WHERE {_IS_DUE})")  # noqa: S608 - as above
TAKE = text(f"""
    WITH due AS MATERIALIZED (
        SELECT message.id, message.next_attempt_at FROM outbox_messages message
        WHERE {_IS_DUE}
        ORDER BY message.next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE outbox_messages message
        SET attempts = message.attempts + 1, next_attempt_at = :leased_until,
            closed_at = CASE WHEN message.bundle_id IS NOT NULL THEN coalesce(message.closed_at, :now) END
        FROM due WHERE message.id = due.id
        RETURNING message.*, due.next_attempt_at AS was_due_at
    )
    SELECT taken.id, taken.kind, taken.owner_id, taken.facts, taken.attempts, taken.created_at, taken.closed_at,
           taken.was_due_at, owner.email, coalesce(person.first_name, shop.business_name) AS name,
           coalesce(bundle.count, 1) AS count, bundle.amount, bundle.kinds
    FROM taken
    LEFT JOIN LATERAL (
        SELECT CAST(coalesce(sum(count), 0) AS bigint) AS count, CAST(sum(amount) AS bigint) AS amount,
               jsonb_object_agg(kind, jsonb_build_array(count, amount)) AS kinds
        FROM (
            SELECT coalesce(member.facts ->> 'kind', 'p2p') AS kind, count(*) AS count,
                   sum(CAST(member.facts ->> 'amount' AS bigint)) AS amount
            FROM outbox_messages member WHERE member.bundle_id = taken.id AND member.sent_at IS NULL GROUP BY 1
        ) by_kind
    ) bundle ON taken.bundle_id IS NOT NULL
    LEFT JOIN owners owner ON owner.id = taken.owner_id
    LEFT JOIN users person ON person.id = taken.owner_id
    LEFT JOIN merchants shop ON shop.id = taken.owner_id
    ORDER BY taken.was_due_at, taken.id
""")  # noqa: S608 - constants of this file
NEWEST = text("""
    SELECT bundle.id, newest.facts
    FROM unnest(CAST(:ids AS uuid[])) AS bundle (id)
    CROSS JOIN LATERAL (
        SELECT member.id, member.facts, member.created_at FROM outbox_messages member
        WHERE member.bundle_id = bundle.id AND member.sent_at IS NULL
        ORDER BY member.created_at DESC, member.id DESC LIMIT :shown
    ) newest
    ORDER BY bundle.id, newest.created_at DESC, newest.id DESC
""")
SENT = text("""
    UPDATE outbox_messages SET sent_at = :now, next_attempt_at = NULL, last_error = NULL WHERE id = ANY(:ids)
""")
SENT_WITH_THEM = text("""
    UPDATE outbox_messages SET sent_at = :now WHERE bundle_id = ANY(:ids) AND sent_at IS NULL
""")
# Changes nothing if another worker has taken the mail since and may have sent it.
FAILED = text("""
    UPDATE outbox_messages message SET next_attempt_at = failed.next_attempt_at, last_error = failed.error
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS bigint[]), CAST(:next_attempts_at AS timestamptz[]),
                CAST(:errors AS text[])) AS failed (id, attempts, next_attempt_at, error)
    WHERE message.id = failed.id AND message.sent_at IS NULL AND message.attempts = failed.attempts
""")
PUT_BACK = text("""
    UPDATE outbox_messages message SET next_attempt_at = untried.was_due_at, attempts = message.attempts - 1
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS bigint[]), CAST(:were_due_at AS timestamptz[]))
         AS untried (id, attempts, was_due_at)
    WHERE message.id = untried.id AND message.sent_at IS NULL AND message.attempts = untried.attempts
""")
BACKLOG = text("""
    SELECT (SELECT count(*) FROM (
                SELECT FROM outbox_messages WHERE next_attempt_at IS NOT NULL LIMIT :most) waiting) AS waiting,
           (SELECT min(next_attempt_at) FROM outbox_messages WHERE next_attempt_at <= :now) AS oldest_due_at
""")
# By id, which grows with the time, so that no mail pays for an index that only this statement would use.
PURGE = text("""
    DELETE FROM outbox_messages WHERE id IN (
        SELECT id FROM outbox_messages message
        WHERE id < :first_kept_id AND (sent_at < :before OR (
            sent_at IS NULL AND next_attempt_at IS NULL AND NOT EXISTS (
                SELECT FROM outbox_messages bundle
                WHERE bundle.id = message.bundle_id AND bundle.next_attempt_at IS NOT NULL
            )
        ))
        ORDER BY id LIMIT :limit
    )
""")


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that this worker may send until its lease ends. `count` messages are in it, `amount` paise together.

    `kinds` are the kinds of transfers among them, each with its count and its paise.
    """

    id: UUID
    kind: str
    facts: Mapping[str, Any]
    attempts: int
    created_at: datetime
    closed_at: datetime | None
    was_due_at: datetime
    email: str | None
    name: str | None
    count: int = 1
    amount: int | None = None
    kinds: Mapping[str, tuple[int, int]] | None = None
    newest: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A mail that was not accepted. It is given up if there is no next attempt."""

    mail: Taken
    error: str
    next_attempt_at: datetime | None


@dataclass(slots=True)
class Outcomes:
    """What became of a batch. A mail in none of the lists becomes due again when its lease ends."""

    sent: list[Taken] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    untried: list[Taken] = field(default_factory=list)
    """Mails that the server was not offered: they are due as they were, and have lost no attempt."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Mails and new messages that wait, MAX_COUNTED at most, and since when the oldest is due (seconds, 0 for none)."""

    waiting: int
    oldest_due_seconds: float


async def bundle_new(sessionmaker: SessionMaker) -> int:
    """Bundle new messages about money received, at most BUNDLE_BATCH. Returns how many."""
    values = {
        "now": clock.now(),
        "limit": BUNDLE_BATCH,
        "pause": timedelta(seconds=BUNDLE_SECONDS),
        "max_bundle": MAX_BUNDLE,
    }
    async with sessionmaker.begin() as session:
        await session.execute(BEGIN, {"key": LOCK_KEY})
        result = await session.execute(BUNDLE, values)
        return result.rowcount  # type: ignore[attr-defined,no-any-return]


async def is_any_due(sessionmaker: SessionMaker) -> bool:
    """Whether there is a mail to take."""
    async with sessionmaker() as session:
        return bool(await session.scalar(ANY_DUE, {"now": clock.now()}))


async def take(sessionmaker: SessionMaker, *, lease_seconds: float) -> list[Taken]:
    """Take due mails, the oldest first, at most BATCH. Each counts as one attempt and is leased."""
    now = clock.now()
    values = {"now": now, "limit": BATCH, "leased_until": now + timedelta(seconds=lease_seconds)}
    async with sessionmaker.begin() as session:
        await session.execute(BEGIN, {"key": LOCK_KEY})
        rows = (await session.execute(TAKE, values)).mappings().all()
        bundles = [row["id"] for row in rows if row["count"] > 1]
        newest: dict[UUID, list[Mapping[str, Any]]] = {}
        if bundles:
            for id_, facts in await session.execute(NEWEST, {"ids": bundles, "shown": NEWEST_SHOWN}):
                newest.setdefault(id_, []).append(facts)
    fields = [name for name in Taken.__slots__ if name != "newest"]
    return [Taken(**{name: row[name] for name in fields}, newest=newest.get(row["id"], ())) for row in rows]


async def record(sessionmaker: SessionMaker, outcomes: Outcomes) -> None:
    """Record what became of a batch, in one transaction; all messages of a bundle are sent at once."""
    now = clock.now()
    async with sessionmaker.begin() as session:
        if outcomes.sent:
            await session.execute(SENT, {"now": now, "ids": [mail.id for mail in outcomes.sent]})
        bundles = [mail.id for mail in outcomes.sent if mail.count > 1]
        if bundles:
            await session.execute(SENT_WITH_THEM, {"now": now, "ids": bundles})
        if outcomes.failed:
            await session.execute(FAILED, _failures(outcomes.failed))
        if outcomes.untried:
            await session.execute(PUT_BACK, _untried(outcomes.untried))


async def backlog(sessionmaker: SessionMaker) -> Backlog:
    """How much waits, and for how long: two short looks at an index."""
    now = clock.now()
    async with sessionmaker() as session:
        row = (await session.execute(BACKLOG, {"now": now, "most": MAX_COUNTED})).one()
    return Backlog(row.waiting, (now - row.oldest_due_at).total_seconds() if row.oldest_due_at else 0.0)


async def purge(session: AsyncSession) -> int:
    """Delete one batch of messages that were sent or given up long ago. Answers how many."""
    before = clock.now() - KEPT_FOR
    values = {"before": before, "first_kept_id": smallest_id(before), "limit": PURGE_BATCH}
    return int(getattr(await session.execute(PURGE, values), "rowcount", 0))


def _failures(failures: Sequence[Failure]) -> dict[str, list[Any]]:
    return {
        "ids": [failure.mail.id for failure in failures],
        "attempts": [failure.mail.attempts for failure in failures],
        "next_attempts_at": [failure.next_attempt_at for failure in failures],
        "errors": [failure.error for failure in failures],
    }


def _untried(mails: Sequence[Taken]) -> dict[str, list[Any]]:
    return {
        "ids": [mail.id for mail in mails],
        "attempts": [mail.attempts for mail in mails],
        "were_due_at": [mail.was_due_at for mail in mails],
    }
