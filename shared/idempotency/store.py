"""Idempotency keys in Postgres, written in the same database transaction as the money.

An insert that meets an uncommitted insert of the same key waits for it, so exactly one of many copies goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
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

_INSERT = text("""
    INSERT INTO idempotency_keys (owner_id, key, fingerprint, field_hashes, created_at)
    SELECT owner_id, key, fingerprint, field_hashes, :now
    FROM unnest(CAST(:owner_ids AS uuid[]), CAST(:keys AS text[]), CAST(:fingerprints AS text[]),
                CAST(:field_hashes AS jsonb[])) AS asked (owner_id, key, fingerprint, field_hashes)
    ORDER BY owner_id, key  -- one order for all requests, so that two batches cannot deadlock
    ON CONFLICT (owner_id, key) DO UPDATE SET created_at = EXCLUDED.created_at
        WHERE idempotency_keys.status IS NULL
          AND idempotency_keys.fingerprint = EXCLUDED.fingerprint
          AND idempotency_keys.created_at < :abandoned_before
    RETURNING owner_id, key
""")
_SELECT = text("""
    SELECT owner_id, key, fingerprint, field_hashes, status, body FROM idempotency_keys
    WHERE (owner_id, key) IN (SELECT * FROM unnest(CAST(:owner_ids AS uuid[]), CAST(:keys AS text[])))
""").columns(field_hashes=JSONB, body=JSONB)
_FINISH = text("""
    UPDATE idempotency_keys SET status = done.status, body = done.body
    FROM unnest(CAST(:owner_ids AS uuid[]), CAST(:keys AS text[]), CAST(:statuses AS bigint[]),
                CAST(:bodies AS jsonb[])) AS done (owner_id, key, status, body)
    WHERE idempotency_keys.owner_id = done.owner_id AND idempotency_keys.key = done.key
""")
_RELEASE = text("""
    DELETE FROM idempotency_keys
    WHERE (owner_id, key) IN (SELECT * FROM unnest(CAST(:owner_ids AS uuid[]), CAST(:keys AS text[])))
""")
_PURGE = text("""
    DELETE FROM idempotency_keys WHERE (owner_id, key) IN (
        SELECT owner_id, key FROM idempotency_keys WHERE created_at < :before LIMIT :batch
    )
""")


async def claim_all(session: AsyncSession, claims: Sequence[Claim]) -> dict[KeyName, Claimed]:
    """Claim all keys, in two SQL statements at most. No two claims may have the same owner and key."""
    if not claims:
        return {}
    now = clock.now()
    inserted = await session.execute(
        _INSERT,
        {
            **_names(claims),
            "fingerprints": [claim.fingerprint for claim in claims],
            "field_hashes": [_json(claim.field_hashes) for claim in claims],
            "now": now,
            "abandoned_before": now - ABANDONED_AFTER,
        },
    )
    ours = {(row.owner_id, row.key) for row in inserted}
    others = [claim for claim in claims if claim.name not in ours]
    result: dict[KeyName, Claimed] = dict.fromkeys(ours)
    if others:
        rows = (await session.execute(_SELECT, _names(others))).mappings()
        stored = {(row["owner_id"], row["key"]): row for row in rows}
        result |= {claim.name: _claimed(claim, stored.get(claim.name)) for claim in others}
    return result


async def claim_one(session: AsyncSession, claim: Claim) -> Answer | None:
    """Claim one key: None if it is this request's now, else the first answer.

    Raises RequestInFlight, IdempotencyKeyReused.
    """
    claimed = (await claim_all(session, [claim]))[claim.name]
    if isinstance(claimed, BatuaError):
        raise claimed
    return claimed


async def find(session: AsyncSession, claim: Claim) -> Answer | None:
    """The first answer of a request; None while it has none. Claims nothing. Raises IdempotencyKeyReused."""
    row = (await session.execute(_SELECT, _names([claim]))).mappings().one_or_none()
    found = None if row is None else _claimed(claim, row)
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
                "bodies": [_json(answer.body) for _, answer in pairs],
            },
        )


async def release(session: AsyncSession, claims: Sequence[Claim]) -> None:
    """Free the keys of rejected requests, so that the same requests may succeed later."""
    if claims:
        await session.execute(_RELEASE, _names(claims))


async def purge(session: AsyncSession) -> int:
    """Delete one batch of keys older than KEPT_FOR. Answers how many."""
    result = await session.execute(_PURGE, {"before": clock.now() - KEPT_FOR, "batch": PURGE_BATCH})
    return int(getattr(result, "rowcount", 0))


def _claimed(claim: Claim, row: RowMapping | None) -> Claimed:
    if row is None:  # freed between the two statements: the caller may retry
        return RequestInFlight()
    if row["fingerprint"] != claim.fingerprint:
        return IdempotencyKeyReused(claim.differing_fields(row["field_hashes"]))
    if row["status"] is None:
        return RequestInFlight()
    return Answer(row["status"], row["body"], is_replayed=True)


def _names(claims: Sequence[Claim]) -> dict[str, Any]:
    return {"owner_ids": [claim.owner_id for claim in claims], "keys": [claim.key for claim in claims]}


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value))
