"""The rows of the inbox: every authentic delivery is kept under the bank's id for it, with its verdict."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from services.bank_webhook.gate import Delivery
from shared import clock
from shared.db.transaction import Transaction
from shared.db.writes import Write
from shared.ids import new_id
from shared.models.webhook_delivery import Verdict

# In the order of the ids, so that two batches cannot deadlock. It waits for copies that are being committed.
_INSERT = """
    INSERT INTO webhook_inbox (id, bank, webhook_id, payload, verdict, received_at)
    SELECT id, bank, webhook_id, payload::jsonb, $5::text, $6::timestamptz
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS delivered (id, bank, webhook_id, payload)
    ORDER BY bank, webhook_id
    ON CONFLICT (bank, webhook_id) DO NOTHING
    RETURNING id
"""
_LOCK = """
    SELECT id, bank, webhook_id, payload::text, verdict
    FROM webhook_inbox JOIN unnest($1::text[], $2::text[]) AS delivered (bank, webhook_id) USING (bank, webhook_id)
    ORDER BY bank, webhook_id FOR UPDATE OF webhook_inbox
"""
_UPDATE = """
    UPDATE webhook_inbox SET verdict = judged.verdict, on_ramp_id = judged.on_ramp_id,
                             withdrawal_id = judged.withdrawal_id
    FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[]) AS judged (id, verdict, on_ramp_id, withdrawal_id)
    WHERE webhook_inbox.id = judged.id
"""

_Name = tuple[str, str]
"""Bank and webhook id: the unique key of a row."""
_Payload = Mapping[str, Any]

_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Row:
    """A locked row of the inbox. `verdict` is None until the first judgement, in this same transaction."""

    id: UUID
    payload: _Payload
    verdict: Verdict | None = None
    on_ramp_id: UUID | None = None
    withdrawal_id: UUID | None = None

    @property
    def is_finished(self) -> bool:
        """A copy of this delivery needs no second look."""
        return self.verdict is not None and self.verdict.is_final


async def lock_rows(transaction: Transaction, deliveries: Sequence[Delivery]) -> list[Row]:
    """One row per delivery, new or from before, locked until the transaction ends; copies share one.

    A delivery under the id of another message is signed, so the bank sent it. It is kept under an id of its own;
    otherwise a reversal sent under a used id would be lost.
    """
    named = [((delivery.notice.bank, delivery.webhook_id), asdict(delivery.notice)) for delivery in deliveries]
    first: dict[_Name, _Payload] = {}
    for name, payload in named:
        first.setdefault(name, payload)
    rows = await _rows_of(transaction, first)

    others: dict[_Name, _Payload] = {}
    for index, (name, payload) in enumerate(named):
        if rows[name].payload != payload:
            bank, webhook_id = name
            _logger.error("%s used the webhook id of %s for another message; both are kept", bank, rows[name].id)
            # No bank can send an id with a space, so none can take the id that we give.
            named[index] = ((bank, f"{webhook_id} {_digest(payload)}"), payload)
            others.update([named[index]])
    if others:
        rows |= await _rows_of(transaction, others)
    return [rows[name] for name, _ in named]


def judged(rows: Sequence[Row]) -> Write:
    """The verdicts of the rows, and what they are about."""
    columns = (
        [row.id for row in rows],
        [row.verdict for row in rows],
        [row.on_ramp_id for row in rows],
        [row.withdrawal_id for row in rows],
    )
    return Write(_UPDATE, columns, len(rows))


async def _rows_of(transaction: Transaction, payloads: Mapping[_Name, _Payload]) -> dict[_Name, Row]:
    rows = {name: Row(new_id(), payload) for name, payload in payloads.items()}
    columns = (
        [row.id for row in rows.values()],
        [bank for bank, _ in rows],
        [webhook_id for _, webhook_id in rows],
        [json.dumps(payload) for payload in payloads.values()],
    )
    inserted = {row[0] for row in await transaction.fetch(_INSERT, *columns, Verdict.NOTED, clock.now())}
    earlier = [name for name, row in rows.items() if row.id not in inserted]
    if earlier:
        found = await transaction.fetch(_LOCK, [bank for bank, _ in earlier], [name for _, name in earlier])
        for row_id, bank, webhook_id, payload, verdict in found:
            rows[bank, webhook_id] = Row(row_id, json.loads(payload), Verdict(verdict))
    return rows


def _digest(payload: _Payload) -> str:
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:32]
