"""The words of the simulator's API: what each property, parameter and tag means."""

from __future__ import annotations

from shared.api_reference.describe import Vocabulary

DESCRIPTION = """\
A simulator of banks for tests and demos: netbanking, payouts, signed webhooks and a statement, with faults on request.
Banks are told apart by the first part of the path, such as `/hdfc`. Every amount is a whole number of paise; times are
RFC 3339 in UTC. Operations need the bank's key in `X-Api-Key`. Errors are `application/problem+json`.
"""

VOCABULARY = Vocabulary(
    tags={
        "health": "Whether the simulator works.",
        "bank": "What a bank does for the platform. Faults apply here.",
        "records": "The bank's records and its faults. Faults never apply here.",
    },
    parameters={
        "bank": "Code of the bank, such as `hdfc`.",
        "token": "The token that opening the session answered.",
        "reference": "The platform's reference of the payout or session.",
        "message_id": "The `webhook-id` of the notice.",
        "from": "Only items at or after this time (RFC 3339).",
        "to": "Only items before this time (RFC 3339).",
        "traceparent": "The trace that the call belongs to (W3C Trace Context); the log of calls keeps it.",
    },
    properties={
        "items": "The items, oldest first.",
        "next_cursor": "Always null: the list is whole.",
        "reference": "The platform's reference.",
        "user_ref": "The platform's id of the owner, to check that payouts of one owner do not overlap.",
        "user_id": "The platform's id of the person.",
        "amount": "Paise.",
        "balance_after": "Paise on the nodal account after this line.",
        "account_number": "Number of the account to pay.",
        "ifsc": "IFSC of the branch: four letters, `0`, six letters or digits.",
        "account_holder": "Name of the holder of the account.",
        "utr": "The bank's Unique Transaction Reference; null until it has paid.",
        "traceparent": (
            "What the platform said of the trace of the call (W3C Trace Context); null without a word of it."
        ),
        "status": "The current state.",
        "code": "Stable code of the error or refusal.",
        "message": "The reason in words.",
        "token": "The bank's name for the netbanking session.",
        "url": "Address of the netbanking page to send the person to.",
        "return_url": "Where the person goes back to.",
        "bank_reference": "The bank's reference of the payment; null until it is approved.",
        "reason": "Why the person or the bank declined; null unless declined.",
        "expires_at": "When the session ends undecided (UTC).",
        "at": "When the bank booked it (UTC).",
        "payments": "Netbanking sessions of the demo customer, each with its outcome.",
        "payouts": "Payouts, each with its outcome.",
        "reversed_at": "When the money came back (UTC); null unless it was reversed.",
        "added": "How many items were new to the bank.",
        "direction": "`CREDIT` is money that came in to the platform.",
        "started_at": "When the call arrived (UTC).",
        "ended_at": "When the call was answered (UTC); null while it runs.",
        "outcome": "What the call came to.",
        # Faults
        "seed": "Seed of the random draws: the same seed and calls give the same faults.",
        "latency_ms": "Milliseconds before each answer.",
        "latency_tail_ms": "At most this many further milliseconds; few answers take them all.",
        "down": "Whether the bank answers nothing but 503.",
        "error_rate": "Share of calls, 0 to 1, that fail before the work is done.",
        "timeout_after_rate": "Share of calls, 0 to 1, that do the work and never answer.",
        "refuse_rate": "Share of payouts, 0 to 1, that the bank refuses for good.",
        "async_rate": "Share of payouts, 0 to 1, that answer 202 and end later.",
        "async_delay_ms": "Milliseconds until such a payout ends.",
        "reversal_rate": "Share of payouts, 0 to 1, that are paid and then reversed.",
        "idempotency": "Whether a repeated reference is paid once.",
        "webhook_duplicate_rate": "Share of notices, 0 to 1, that are sent twice.",
        "webhook_delay_ms": "Milliseconds before each notice.",
        "webhook_reorder_rate": "Share of notices, 0 to 1, that a later notice overtakes.",
        "webhook_drop_rate": "Share of notices, 0 to 1, that are never sent.",
        "webhook_wrong_amount_rate": "Share of notices, 0 to 1, that name a wrong amount.",
        "webhook_bad_signature_rate": "Share of notices, 0 to 1, with a wrong signature.",
        "hold_at": "Where each payout call waits until released; null for nowhere.",
        # Problems
        "type": "A URN for the kind of problem.",
        "title": "The kind of problem in words.",
        "detail": "What is wrong.",
        "errors": "The rejected fields.",
        "field": "Path of the field.",
    },
    of_one_schema={("Problem", "status"): "The HTTP status."},
)
