"""Idempotency keys in Postgres, written in the same database transaction as the money.

A transaction that carries out a request locks its key until it ends, so exactly one of many copies goes on. This lock
is taken before every other one. No copy waits for it: a slow request holds up neither its copies nor the
other requests of a batch. Two keys with the same lock number exclude each other without need; the primary key is the
truth.

A commit shows the row before it frees the lock. So a look that begins after the lock was found taken finds the answer,
or the request is still under way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.locks import TRY_LOCK
from shared.db.writes import Write
from shared.errors import BatuaError
from shared.idempotency.claims import Answer, Claim
from shared.idempotency.errors import IdempotencyKeyReused, RequestInFlight

ABANDONED_AFTER = timedelta(seconds=30)
"""A committed key without an answer belongs to a request of several transactions. When it is older than this, a repeat
of the request takes it over.
"""

KEPT_FOR = timedelta(days=7)
PURGE_BATCH = 5000

KeyName = tuple[UUID, str]
"""Owner and key: the primary key of the stored row."""
Claimed = Answer | BatuaError | None
"""None: the key is this request's now. Answer: the first answer. Error: in flight, or used for another request."""


@dataclass(frozen=True, slots=True)
class Known:
    """A key that is not free: the request it stands for, and the answer to it. None: unknown, still in flight."""

    fingerprint: str | None
    field_hashes: Mapping[str, str]
    answer: Answer | None

    @classmethod
    def of(cls, fingerprint: str | None, field_hashes: str | None, status: int | None, body: str | None) -> Known:
        """As the columns of a row say."""
        hashes = {} if field_hashes is None else json.loads(field_hashes)
        answer = None if status is None or body is None else Answer(status, json.loads(body))
        return cls(fingerprint, hashes, answer)

    def answer_to(self, claim: Claim) -> Answer | BatuaError:
        """What a request with this key is told."""
        if self.fingerprint is not None and not claim.is_of(self.fingerprint):
            return IdempotencyKeyReused(claim.differing_fields(self.field_hashes))
        return RequestInFlight() if self.answer is None else self.answer.as_replay()


_BUSY = Known(None, {}, None)
_LOCK_NUMBER = "hashtextextended(CAST(owner_id AS text) || ' ' || key, 0)"
_TRY_LOCKS = text(f"""
    SELECT owner_id, key, {TRY_LOCK}({_LOCK_NUMBER}) AS is_locked
    FROM unnest(CAST(:owner_ids AS uuid[]), CAST(:keys AS text[])) AS asked (owner_id, key)
""")  # noqa: S608 - a constant
_INSERT = text("""
    INSERT INTO idempotency_keys (owner_id, key, fingerprint, field_hashes, created_at)
    SELECT owner_id, key, fingerprint, field_hashes, :now
    FROM unnest(CAST(:owner_ids AS uuid[]), CAST(:keys AS text[]), CAST(:fingerprints AS text[]),
                CAST(:field_hashes AS jsonb[])) AS asked (owner_id, key, fingerprint, field_hashes)
    ORDER BY owner_id, key  -- one order for all requests, so that two batches cannot deadlock
    ON CONFLICT (owner_id, key) DO UPDATE SET created_at = EXCLUDED.created_at
        WHERE idempotency_keys.status IS NULL
          AND idempotency_keys.fingerprint = EXCLUDED.fingerprint
          AND (idempotency_keys.created_at < :abandoned_before
               OR idempotency_keys.created_at = CAST(:ours AS timestamptz))
    RETURNING owner_id, key
""")
_SELECT = text("""
    SELECT owner_id, key, fingerprint, CAST(field_hashes AS text), status, CAST(body AS text) FROM idempotency_keys
    WHERE (owner_id, key) IN (SELECT * FROM unnest(CAST(:owner_ids AS uuid[]), CAST(:keys AS text[])))
""")
# Every lock is tried: a condition on what a volatile function answers stays outside.
LOOK_UP = f"""
    SELECT owner_id, key, fingerprint, field_hashes, status, body FROM (
        SELECT owner_id, key, known.fingerprint, known.field_hashes::text, known.status, known.body::text,
               {TRY_LOCK}({_LOCK_NUMBER}) AS is_locked
        FROM unnest($1::uuid[], $2::text[]) AS asked (owner_id, key)
        LEFT JOIN idempotency_keys AS known USING (owner_id, key)
    ) AS looked_up
    WHERE fingerprint IS NOT NULL OR NOT is_locked
"""  # noqa: S608 - a constant
"""In SQL text: locks those keys `$2` of the owners `$1` that are free until the transaction ends, and answers the names
of the others, each with the fields of a Known.

A key that another transaction works on is known to be in flight. It may be finished since, or be finished while this
snapshot does not show it: then a later look (`Marks.run`) finds the answer, or `answered` cannot be written."""
_INSERT_ANSWERED = """
    INSERT INTO idempotency_keys (owner_id, key, fingerprint, field_hashes, status, body, created_at)
    SELECT owner_id, key, fingerprint, field_hashes::jsonb, status, body::json, $7::timestamptz
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[])
         AS answered (owner_id, key, fingerprint, field_hashes, status, body)
    ON CONFLICT (owner_id, key) DO NOTHING
"""
_FINISH = text("""
    UPDATE idempotency_keys SET status = done.status, body = done.body
    FROM unnest(CAST(:owner_ids AS uuid[]), CAST(:keys AS text[]), CAST(:statuses AS bigint[]),
                CAST(:bodies AS json[])) AS done (owner_id, key, status, body)
    WHERE idempotency_keys.owner_id = done.owner_id AND idempotency_keys.key = done.key
""")
_RELEASE = text("""
    DELETE FROM idempotency_keys
    WHERE (owner_id, key) IN (SELECT * FROM unnest(CAST(:owner_ids AS uuid[]), CAST(:keys AS text[])))
      AND status IS NULL AND created_at = CAST(:ours AS timestamptz)
""")
# By the clock of Postgres too: a worker whose clock runs ahead must not forget what callers may still repeat.
_PURGE = text("""
    DELETE FROM idempotency_keys WHERE (owner_id, key) IN (
        SELECT owner_id, key FROM idempotency_keys
        WHERE created_at < least(CAST(:now AS timestamptz), now()) - CAST(:kept_for AS interval) LIMIT :batch
    )
""")


async def claim_all(
    session: AsyncSession, claims: Sequence[Claim], *, at: datetime | None = None
) -> dict[KeyName, Claimed]:
    """Claim all keys, in three SQL statements at most. No two claims may have the same owner and key.

    A request of several transactions claims again when the commit of its claim was not answered. `at`, the moment of
    its first attempt (UTC), tells its own row from that of a copy.
    """
    if not claims:
        return {}
    tried = await session.execute(_TRY_LOCKS, _names(claims))
    locked = {(row.owner_id, row.key) for row in tried if row.is_locked}
    ours = await _insert(session, [claim for claim in claims if claim.name in locked], at)
    result: dict[KeyName, Claimed] = dict.fromkeys(ours)
    others = [claim for claim in claims if claim.name not in ours]
    if others:  # looked at after their locks were tried
        known = known_from(await session.execute(_SELECT, _names(others)))
        result |= {claim.name: known.get(claim.name, _BUSY).answer_to(claim) for claim in others}
    return result


async def _insert(session: AsyncSession, claims: Sequence[Claim], at: datetime | None) -> set[KeyName]:
    """Insert keys that are locked. Answers which of them are new, were abandoned, or are ours already."""
    if not claims:
        return set()
    now = at or clock.now()
    inserted = await session.execute(
        _INSERT,
        {
            **_names(claims),
            "fingerprints": [claim.fingerprint for claim in claims],
            "field_hashes": [_json(claim.field_hashes) for claim in claims],
            "now": now,
            "ours": at,
            "abandoned_before": now - ABANDONED_AFTER,
        },
    )
    return {(row.owner_id, row.key) for row in inserted}


async def claim_one(session: AsyncSession, claim: Claim, *, at: datetime | None = None) -> Answer | None:
    """Claim one key, as `claim_all` does: None if it is this request's now, else the first answer.

    Raises RequestInFlight, IdempotencyKeyReused.
    """
    claimed = (await claim_all(session, [claim], at=at))[claim.name]
    if isinstance(claimed, BatuaError):
        raise claimed
    return claimed


def known_from(rows: Iterable[Sequence[Any]]) -> dict[KeyName, Known]:
    """What rows of LOOK_UP say, by name."""
    return {(row[0], row[1]): Known.of(*row[2:]) for row in rows}


def answered(pairs: Sequence[tuple[Claim, Answer]], *, at: datetime) -> Write:
    """Keys that LOOK_UP found free, as rows with their answers. `at` is UTC."""
    claims = [claim for claim, _ in pairs]
    names = _names(claims)
    columns = (
        names["owner_ids"],
        names["keys"],
        [claim.fingerprint for claim in claims],
        [_json(claim.field_hashes) for claim in claims],
        [answer.status for _, answer in pairs],
        [answer.text.decode() for _, answer in pairs],
    )
    return Write(_INSERT_ANSWERED, (*columns, at), len(pairs))


async def find(session: AsyncSession, claim: Claim) -> Answer | None:
    """The first answer of a request; None while it has none. Claims nothing. Raises IdempotencyKeyReused."""
    row = (await session.execute(_SELECT, _names([claim]))).one_or_none()
    found = None if row is None else Known.of(*row[2:]).answer_to(claim)
    if isinstance(found, IdempotencyKeyReused):
        raise found
    return None if isinstance(found, BatuaError) else found


async def finish(session: AsyncSession, pairs: Sequence[tuple[Claim, Answer]]) -> None:
    """Store each answer beside its key."""
    if pairs:
        await session.execute(
            _FINISH,
            {
                **_names([claim for claim, _ in pairs]),
                "statuses": [answer.status for _, answer in pairs],
                "bodies": [answer.text.decode() for _, answer in pairs],
            },
        )


async def release(session: AsyncSession, claims: Sequence[Claim], *, at: datetime) -> None:
    """Free the keys of rejected requests, so that the same requests may succeed later.

    They were claimed `at` this moment: a key that another attempt has taken over, or answered, since then stays.
    """
    if claims:
        await session.execute(_RELEASE, _names(claims) | {"ours": at})


async def purge(session: AsyncSession) -> int:
    """Delete one batch of keys older than KEPT_FOR. Answers how many."""
    result = await session.execute(_PURGE, {"now": clock.now(), "kept_for": KEPT_FOR, "batch": PURGE_BATCH})
    return int(getattr(result, "rowcount", 0))


def _names(claims: Sequence[Claim]) -> dict[str, Any]:
    return {"owner_ids": [claim.owner_id for claim in claims], "keys": [claim.key for claim in claims]}


def _json(value: Mapping[str, Any]) -> str:
    return to_json(dict(value)).decode()
