"""The queue of mails in Postgres: gather new messages into mails, take due mails, record what became of them.

A message about money received joins the open mail of its owner, or begins one, and is deleted: it is written once and
deleted once, and never changed. A mail is closed when it is taken for the first time, so every copy of it tells of the
same messages. Any other message is a mail of its own, closed from the start.

Few new messages are gathered at once. Many wait until no more have come for LULL_SECONDS, or the oldest has waited for
BUNDLE_SECONDS, so that under load an owner gets one mail instead of several, and mail takes no time from what is more
urgent.

Each function is one short transaction. A lock lets one worker at a time gather or take, so that no message
joins a mail that is just being closed; sending is not under it.
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
from shared.db.locks import LOCK
from shared.ids import smallest_id

BUNDLE_SECONDS = 40.0
"""After a mail about money received, its owner gets the next one no sooner than this. So long, at most, do many new
messages wait."""
MAILS_PER_HOUR = 6
MAILS_PER_DAY = 20
"""After so many mails about money received, their owner gets the next one when the hour or the day is over."""
SMALL_PAISE = 1_00
"""A payment of less begins a mail that waits for SMALL_SECONDS, so that a thousand of one paisa are one mail."""
SMALL_SECONDS = 3600.0
"""How long payments of less than SMALL_PAISE wait for others; a larger one takes them with it."""
LULL_SECONDS = 3.0
"""When no message has come for so long, the load is over."""
FEW = 100
"""So many new messages are gathered at once: their mails cost next to nothing."""
GATHER_BATCH = 2_000
"""New messages that one transaction gathers at most."""
NEWEST_SHOWN = 5
"""Messages that a mail names one by one."""
BATCH = 200
"""Mails that one transaction takes at most."""
MAX_COUNTED = 10_000
"""Mails, and new messages, that the backlog counts at most."""
KEPT_FOR = timedelta(days=7)
"""A mail is deleted this long after it was sent. One that was given up goes this long after it was written, which is
days after the last attempt."""
PURGE_BATCH = 5000
"""Mails that one transaction deletes at most."""

PACE = {
    "pause": timedelta(seconds=BUNDLE_SECONDS),
    "shown": NEWEST_SHOWN,
    "small_paise": SMALL_PAISE,
    "small_pause": timedelta(seconds=SMALL_SECONDS),
    "hourly": MAILS_PER_HOUR,
    "daily": MAILS_PER_DAY,
}
"""The parameters of GATHER that never change."""

LOCK_KEY = 4_715_022
"""The lock under which one worker at a time gathers or takes."""

# Plans for these values: a generic plan knows no limit. Whatever the planner thinks of the filters, an index is right,
# and in its order, and so is a probe of it for each row: statistics from before a burst make all else look cheap.
BEGIN = text(f"""
    SELECT {LOCK}(:key), set_config('plan_cache_mode', 'force_custom_plan', true),
           set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
           set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)
""")

NEW = text("""
    SELECT count(*) AS waiting, min(next_attempt_at) AS oldest,
           (SELECT max(next_attempt_at) FROM outbox_messages WHERE next_attempt_at <= :now) AS newest
    FROM (SELECT next_attempt_at FROM outbox_messages WHERE next_attempt_at <= :now ORDER BY 1 LIMIT :most) waiting
""")
# The version before this one bundled the messages themselves. When a bundle of it is due, its messages are new again.
UNBUNDLE = text("""
    UPDATE outbox_messages message SET bundle_id = NULL, next_attempt_at = :now FROM outbox_messages first
    WHERE message.bundle_id IS NOT NULL AND message.sent_at IS NULL AND message.next_attempt_at IS NULL
    AND first.id = message.bundle_id AND first.next_attempt_at <= :now
""")
_CLOSED_OF_OWNER = """
            FROM mails
            WHERE told.alone IS NULL AND owner_id = told.owner_id AND amount IS NOT NULL AND closed_at IS NOT NULL
            ORDER BY closed_at DESC
"""
# `alone` tells mails of one message apart. One without an amount cannot be added up. What is not small brings the open
# mail of its owner forward, as far as the mails before it allow.
GATHER = text(
    """
    WITH gone AS (
        DELETE FROM outbox_messages WHERE id = ANY (ARRAY(
            SELECT id FROM outbox_messages WHERE next_attempt_at <= :now ORDER BY next_attempt_at LIMIT :limit
        )) RETURNING id, kind, owner_id, facts, next_attempt_at, created_at
    ), priced AS (
        SELECT *, CASE WHEN kind = 'money_received' AND jsonb_typeof(facts -> 'amount') = 'number'
                       AND facts ->> 'amount' ~ '^[0-9]{1,15}$' THEN CAST(facts ->> 'amount' AS bigint) END AS amount,
               coalesce(facts ->> 'kind', 'p2p') AS transfer_kind
        FROM gone
    ), grouped AS (
        SELECT *, CASE WHEN amount IS NULL THEN id END AS alone,
               coalesce(amount < :small_paise AND transfer_kind IN ('p2p', 'payment'), false) AS is_small
        FROM priced
    ), counted AS (
        SELECT *, row_number() OVER together AS nth, count(*) OVER (PARTITION BY owner_id, alone) AS whole,
               row_number() OVER of_a_kind AS nth_of_kind, count(*) OVER every_of_a_kind AS count_of_kind,
               sum(amount) OVER every_of_a_kind AS amount_of_kind
        FROM grouped
        WINDOW together AS (PARTITION BY owner_id, alone ORDER BY created_at, id),
               of_a_kind AS (PARTITION BY owner_id, alone, transfer_kind ORDER BY created_at, id),
               every_of_a_kind AS (PARTITION BY owner_id, alone, transfer_kind)
    ), told AS MATERIALIZED (
        SELECT owner_id, alone, (array_agg(id) FILTER (WHERE nth = 1))[1] AS id, min(kind) AS kind, count(*) AS count,
               CAST(sum(amount) AS bigint) AS amount, min(created_at) AS created_at,
               least(min(next_attempt_at) FILTER (WHERE NOT is_small),
                     min(next_attempt_at) + CAST(:small_pause AS interval)) AS due_at,
               jsonb_object_agg(transfer_kind, jsonb_build_array(count_of_kind, amount_of_kind))
                   FILTER (WHERE nth_of_kind = 1) AS kinds,
               jsonb_agg(facts ORDER BY nth DESC) FILTER (WHERE nth > whole - :shown) AS newest
        FROM counted GROUP BY owner_id, alone
    ), decided AS MATERIALIZED (
        SELECT told.*, open.id AS open_id, greatest(due_at, last.ended_at, hour.ended_at, day.ended_at) AS due
        FROM told
        LEFT JOIN LATERAL (
            SELECT id FROM mails
            WHERE told.alone IS NULL AND owner_id = told.owner_id AND amount IS NOT NULL AND closed_at IS NULL
        ) open ON true
        LEFT JOIN LATERAL (
            SELECT coalesce(sent_at, closed_at) + CAST(:pause AS interval) AS ended_at {of_owner} LIMIT 1
        ) last ON true
        LEFT JOIN LATERAL (
            SELECT closed_at + interval '1 hour' AS ended_at {of_owner} OFFSET :hourly - 1 LIMIT 1
        ) hour ON true
        LEFT JOIN LATERAL (
            SELECT closed_at + interval '1 day' AS ended_at {of_owner} OFFSET :daily - 1 LIMIT 1
        ) day ON true
    ), joined AS (
        UPDATE mails SET count = mails.count + decided.count, amount = mails.amount + decided.amount,
            next_attempt_at = least(mails.next_attempt_at, decided.due),
            kinds = (
                SELECT jsonb_object_agg(kind, jsonb_build_array(count, amount)) FROM (
                    SELECT key AS kind, sum(CAST(value ->> 0 AS bigint)) AS count,
                           sum(CAST(value ->> 1 AS bigint)) AS amount
                    FROM (SELECT * FROM jsonb_each(mails.kinds) UNION ALL SELECT * FROM jsonb_each(decided.kinds)) parts
                    GROUP BY key
                ) summed
            ),
            newest = (
                SELECT jsonb_agg(facts ORDER BY nth)
                FROM jsonb_array_elements(decided.newest || mails.newest) WITH ORDINALITY AS told (facts, nth)
                WHERE nth <= :shown
            )
        FROM decided WHERE mails.id = decided.open_id
    ), begun AS (
        INSERT INTO mails (id, kind, owner_id, count, amount, kinds, newest, attempts, next_attempt_at, created_at,
                           closed_at)
        SELECT id, kind, owner_id, count, amount, CASE WHEN alone IS NULL THEN kinds END, newest, 0,
               due, created_at, CASE WHEN alone IS NOT NULL THEN CAST(:now AS timestamptz) END
        FROM decided WHERE open_id IS NULL
    )
    SELECT count(*) FROM gone
""".replace("{of_owner}", _CLOSED_OF_OWNER)
)
# An open mail waits while the one before it is being sent or tried again: so an owner has one at a time on the way.
_IS_DUE = """
    mail.next_attempt_at <= :now
    AND (mail.closed_at IS NOT NULL OR (
        SELECT earlier.next_attempt_at FROM mails earlier
        WHERE earlier.owner_id = mail.owner_id AND earlier.amount IS NOT NULL AND earlier.closed_at IS NOT NULL
        ORDER BY earlier.closed_at DESC LIMIT 1
    ) IS NULL)
"""
ANY_DUE = text(f"SELECT EXISTS (SELECT FROM mails mail WHERE {_IS_DUE})")  # noqa: S608 - a constant of this file
TAKE = text(f"""
    WITH due AS MATERIALIZED (
        SELECT mail.id, mail.next_attempt_at FROM mails mail
        WHERE {_IS_DUE}
        ORDER BY mail.next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE mails mail SET attempts = mail.attempts + 1, next_attempt_at = :leased_until,
                              closed_at = coalesce(mail.closed_at, :now)
        FROM due WHERE mail.id = due.id
        RETURNING mail.*, due.next_attempt_at AS was_due_at
    )
    SELECT taken.id, taken.kind, taken.count, taken.amount, taken.kinds, taken.newest, taken.attempts,
           taken.created_at, taken.closed_at, taken.was_due_at, owner.email,
           coalesce(person.first_name, shop.business_name) AS name
    FROM taken
    LEFT JOIN owners owner ON owner.id = taken.owner_id
    LEFT JOIN users person ON person.id = taken.owner_id
    LEFT JOIN merchants shop ON shop.id = taken.owner_id
    ORDER BY taken.was_due_at, taken.id
""")  # noqa: S608 - a constant of this file
# A link that confirms an address is a secret of its reader: the mail is kept without it.
SENT = text("""
    UPDATE mails SET sent_at = :now, next_attempt_at = NULL, last_error = NULL,
                     newest = CASE kind WHEN 'confirm_email' THEN '[]' ELSE newest END
    WHERE id = ANY(:ids)
""")
# Changes nothing if another worker has taken the mail since and may have sent it.
FAILED = text("""
    UPDATE mails mail SET next_attempt_at = failed.next_attempt_at, last_error = failed.error
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS bigint[]), CAST(:next_attempts_at AS timestamptz[]),
                CAST(:errors AS text[])) AS failed (id, attempts, next_attempt_at, error)
    WHERE mail.id = failed.id AND mail.sent_at IS NULL AND mail.attempts = failed.attempts
""")
PUT_BACK = text("""
    UPDATE mails mail SET next_attempt_at = untried.was_due_at, attempts = mail.attempts - 1
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS bigint[]), CAST(:were_due_at AS timestamptz[]))
         AS untried (id, attempts, was_due_at)
    WHERE mail.id = untried.id AND mail.sent_at IS NULL AND mail.attempts = untried.attempts
""")
BACKLOG = text("""
    SELECT (SELECT count(*) FROM (
                SELECT FROM mails WHERE next_attempt_at IS NOT NULL LIMIT :most) waiting)
           + (SELECT count(*) FROM (
                SELECT FROM outbox_messages WHERE next_attempt_at IS NOT NULL LIMIT :most) new) AS waiting,
           least((SELECT min(next_attempt_at) FROM mails),
                 (SELECT min(next_attempt_at) FROM outbox_messages) + CAST(:pause AS interval)) AS oldest_due_at
""")
# By id, which grows with the time, so that no mail pays for an index that only this statement would use.
PURGE = text("""
    DELETE FROM mails WHERE id IN (
        SELECT id FROM mails
        WHERE id < :first_kept_id AND (sent_at < :before OR (sent_at IS NULL AND next_attempt_at IS NULL))
        ORDER BY id LIMIT :limit
    )
""")
# What the version before this one has sent or given up.
PURGE_MESSAGES = text("""
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

    `kinds` are the kinds of transfers among them, each with its count and its paise; `newest` the facts of the newest.
    """

    id: UUID
    kind: str
    count: int
    amount: int | None
    kinds: Mapping[str, tuple[int, int]] | None
    newest: Sequence[Mapping[str, Any]]
    attempts: int
    created_at: datetime
    closed_at: datetime
    was_due_at: datetime
    email: str | None
    name: str | None


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
    """Mails and new messages that wait, MAX_COUNTED of each at most, and for how many seconds the oldest is due."""

    waiting: int
    oldest_due_seconds: float


async def is_time_to_gather(sessionmaker: SessionMaker) -> bool:
    """Whether there are few new messages, or many and no more for LULL_SECONDS or of which the oldest has waited for
    BUNDLE_SECONDS.
    """
    now = clock.now()
    async with sessionmaker() as session:
        new = (await session.execute(NEW, {"now": now, "most": FEW + 1})).one()
    if new.waiting <= FEW:
        return bool(new.waiting)
    is_over = new.newest <= now - timedelta(seconds=LULL_SECONDS)
    return bool(is_over or new.oldest <= now - timedelta(seconds=BUNDLE_SECONDS))


async def gather(sessionmaker: SessionMaker) -> int:
    """Move new messages into mails, at most GATHER_BATCH. Returns how many."""
    now = clock.now()
    values = {"now": now, "limit": GATHER_BATCH, **PACE}
    async with sessionmaker.begin() as session:
        await session.execute(BEGIN, {"key": LOCK_KEY})
        await session.execute(UNBUNDLE, {"now": now})
        return int(await session.scalar(GATHER, values) or 0)


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
    return [Taken(**row) for row in rows]


async def record(sessionmaker: SessionMaker, outcomes: Outcomes) -> None:
    """Record what became of a batch, in one transaction."""
    async with sessionmaker.begin() as session:
        if outcomes.sent:
            await session.execute(SENT, {"now": clock.now(), "ids": [mail.id for mail in outcomes.sent]})
        if outcomes.failed:
            await session.execute(FAILED, _failures(outcomes.failed))
        if outcomes.untried:
            await session.execute(PUT_BACK, _untried(outcomes.untried))


async def backlog(session: AsyncSession) -> Backlog:
    """How much waits, and for how long: short looks at indexes."""
    now = clock.now()
    values = {"most": MAX_COUNTED, "pause": timedelta(seconds=BUNDLE_SECONDS)}
    row = (await session.execute(BACKLOG, values)).one()
    return Backlog(row.waiting, max(0.0, (now - row.oldest_due_at).total_seconds()) if row.oldest_due_at else 0.0)


async def purge(session: AsyncSession) -> int:
    """Delete one batch of mails that were sent or given up long ago. Answers how many."""
    before = clock.now() - KEPT_FOR
    values = {"before": before, "first_kept_id": smallest_id(before), "limit": PURGE_BATCH}
    purged = [int(getattr(await session.execute(each, values), "rowcount", 0)) for each in (PURGE, PURGE_MESSAGES)]
    return sum(purged)


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
