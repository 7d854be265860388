"""What an owner is told who has used up a quota. Each passes by itself: `Retry-After` says when."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import TooMany


@dataclass(eq=False)
class _QuotaUsedUp(TooMany):
    """The owner has done this `limit` times lately. There is room for one more in `retry_after` seconds."""

    limit: int
    retry_after: int

    @property
    def retry_after_seconds(self) -> int:
        """When there is room."""
        return self.retry_after


class TooManyKeys(_QuotaUsedUp):
    """Each answer is kept for days under its key, so one owner may not have any number of them."""

    code = "too_many_keys"
    title = "Too many requests with an Idempotency-Key in one day; try again later"


class TooManyBulkRequests(_QuotaUsedUp):
    """A bulk request has up to a thousand transfers."""

    code = "too_many_bulk_requests"
    title = "Too many bulk requests; put more items into one, or try again later"


class TooManySmallTransfers(_QuotaUsedUp):
    """A very small transfer costs its recipient a line of the statement, and us as much as a large one."""

    code = "too_many_small_transfers"
    title = "Too many very small transfers to others in one day; send one larger amount, or try again later"


class TooFrequentWithdrawals(_QuotaUsedUp):
    """A withdrawal is the dearest request that one owner makes: it costs calls to a bank as well."""

    code = "too_frequent_withdrawals"
    title = "Too many withdrawals in a few seconds; try again in a moment"


class TooManySearches(_QuotaUsedUp):
    """Each search shows people to the one who asks: one who asks for all would know them all."""

    code = "too_many_searches"
    title = "Too many searches for people; use the wallet id, or try again later"
