"""What can go wrong at a bank, told apart by the one thing that matters: may it have been done?"""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import UpstreamFailed

RETRY_AFTER_SECONDS = 30


@dataclass(eq=False)
class BankFailed(UpstreamFailed):
    """A call to a bank gave no answer one can act on. `reason` is for the log: never a body, never a key."""

    bank: str
    reason: str

    code = "bank_failed"
    title = "The bank did not answer as it should"


@dataclass(eq=False)
class NotSent(BankFailed):
    """Certainly not done: the request never reached the bank, or the bank turned it away unread."""

    code = "bank_not_reached"
    title = "The bank could not be reached"


@dataclass(eq=False)
class MayHaveBeenSent(BankFailed):
    """The bank may have done it: ask before asking again."""

    code = "bank_answer_unknown"
    title = "The bank did not say what became of it"


@dataclass(eq=False)
class Refused(UpstreamFailed):
    """The bank's final no, in its own words: not done, and not worth asking again."""

    bank: str
    reason: str
    message: str

    code = "bank_refused"
    title = "The bank refused"

    @property
    def detail(self) -> str:
        """The bank's own words."""
        return self.message or self.title


@dataclass(eq=False)
class BankUnavailable(UpstreamFailed):
    """A person's request needed a bank that cannot be had right now; nothing was asked of the person."""

    bank: str

    code = "bank_unavailable"
    title = "The bank cannot be reached right now; nothing was taken. Try again later, or another bank"

    @property
    def retry_after_seconds(self) -> int:
        """Banks that are down tend to be down for a while."""
        return RETRY_AFTER_SECONDS
