"""The names of tasks in messages. A sender needs the name only; the worker has the code."""

from __future__ import annotations

ADVANCE_WITHDRAWALS = "batua.withdrawals.advance"
ENQUIRE_ON_RAMPS = "batua.on_ramps.enquire"
DELIVER_OUTBOX = "batua.outbox.deliver"
PURGE_IDEMPOTENCY = "batua.idempotency.purge"
PURGE_OUTBOX = "batua.outbox.purge"
PURGE_TOKENS = "batua.tokens.purge"
PURGE_INBOX = "batua.inbox.purge"
ROLL_UP_INFLOW = "batua.inflow.roll_up"
SEAL_LEDGER = "batua.ledger.seal"
PROVE_NEW = "batua.proof.prove_new"
PROVE_ALL = "batua.proof.prove_all"
PURGE_AUDIT = "batua.audit.purge"
PURGE_PROOFS = "batua.proof.purge"
RECONCILE = "batua.reconcile"

QUEUE = "batua"
TRACEPARENT = "traceparent"
"""The header of a message with the trace that it belongs to."""
