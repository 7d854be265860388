"""What each event of a withdrawal's timeline is called, in the JSON API and on pages. The words may change."""

from __future__ import annotations

from shared.withdrawals.events import EventKind

_WORDS = {
    EventKind.QUEUED: "In the queue",
    EventKind.CANCELLED: "Cancelled",
    EventKind.SENDING: "Being sent to {bank}",
    EventKind.BANK_DOWN: "{bank} cannot be reached; nothing was sent, another attempt follows",
    EventKind.DELAYED: "Held up on our side; nothing was sent, another attempt follows",
    EventKind.DELAYED_BUT_KNOWN: "Held up on our side; asking {bank}, who spoke of it before",
    EventKind.CIRCUIT_OPEN: "{bank} is not answering at the moment; another attempt follows",
    EventKind.BANK_SLOW: "{bank} did not answer in time; asking whether it was done",
    EventKind.PROCESSING: "{bank} is working on it",
    EventKind.NO_ANSWER: "{bank} did not answer the question; asking again",
    EventKind.NOT_FOUND: "{bank} does not know of it yet; asking once more before sending it again",
    EventKind.NEVER_ARRIVED: "It never arrived at {bank}; it is sent again",
    EventKind.INTERRUPTED: "Interrupted on our side; asking {bank} whether it was done",
    EventKind.REFUSED_DURING_SEND: (
        "{bank} says it was refused, while it is being sent; the money stays held until that is certain"
    ),
    EventKind.PAID: "Paid out by {bank}",
    EventKind.REFUSED: "Refused by {bank}; the money is available again",
    EventKind.REVERSED: "Sent back by the receiving bank; the money is in the wallet again",
    EventKind.AMOUNT_MISMATCH: "{bank} speaks of another amount; a person is looking into it",
    EventKind.LOST_BY_BANK: "{bank} had it, and does not know of it any more; a person is looking into it",
    EventKind.NEEDS_REVIEW: "Not settled as it should be; a person is looking into it",
    EventKind.CONTRADICTION: "{bank} said something that does not fit; a person is looking into it",
    EventKind.RESOLVED_PAID: "Looked into: it was paid out",
    EventKind.RESOLVED_FAILED: "Looked into: it was not paid out; the money is available again",
}


def words_of(kind: EventKind, *, bank: str) -> str:
    """One sentence about the event. `bank` is the bank's name."""
    return _WORDS[kind].format(bank=bank)
