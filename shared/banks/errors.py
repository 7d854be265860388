"""What can go wrong at a bank. The errors differ in one thing: may the bank have done what we asked?"""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import UpstreamFailed

RETRY_AFTER_SECONDS = 30


@dataclass(eq=False)
class BankFailed(UpstreamFailed):
    """A call to a bank gave no usable answer. `reason` is for the log: it never holds a body or a key."""

    bank: str
    reason: str

    code = "bank_failed"
    title = "The bank did not answer as it should"


@dataclass(eq=False)
class NotSent(BankFailed):
    """Certainly not done: the request did not reach the bank, or the bank rejected it without reading it."""

    code = "bank_not_reached"
    title = "The bank could not be reached"


@dataclass(eq=False)
class MayHaveBeenSent(BankFailed):
    """The bank may have done it: enquire before you send it again."""

    code = "bank_answer_unknown"
    title = "The bank did not say what became of it"


@dataclass(eq=False)
class Refused(UpstreamFailed):
    """The bank refuses for good, in its own words: not done, and a retry does not help."""

    bank: str
    reason: str
    message: str

    code = "bank_refused"
    title = "The bank refused"

    @property
    def detail(self) -> str:
        """The message of the bank."""
        return self.message or self.title


@dataclass(eq=False)
class BankUnavailable(UpstreamFailed):
    """A person's request needs a bank that does not answer now; nothing was taken from the person."""

    bank: str

    code = "bank_unavailable"
    title = "The bank cannot be reached right now; nothing was taken. Try again later, or another bank"

    @property
    def retry_after_seconds(self) -> int:
        """A bank that is down usually stays down for a while."""
        return RETRY_AFTER_SECONDS
