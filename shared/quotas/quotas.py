"""The quotas of owners that are counted over time, as the settings say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from shared.errors import BatuaError
from shared.owner_quotas import OwnerQuotas
from shared.quotas.counts import DAY_SECONDS, MINUTE_SECONDS, TEN_SECONDS, Counts, Quota, take_all
from shared.quotas.errors import (
    TooFrequentWithdrawals,
    TooManyBulkRequests,
    TooManyKeys,
    TooManySearches,
    TooManySmallTransfers,
)

REFUSED_AS_ONE = 4
"""So many refused requests for a withdrawal, or for many transfers, count as one: each costs a transaction, while a
person who mistypes three times still has most of the quota."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """What has a place before a request of an owner is carried out."""

    keys: Quota
    bulk_per_minute: Quota
    bulk_per_day: Quota
    searches_per_minute: Quota
    searches_per_day: Quota
    withdrawals_per_ten_seconds: Quota
    small_transfers: Quota
    small_below: int
    """A transfer of fewer paise is a small one."""

    @classmethod
    def of(cls, counts: Counts, settings: OwnerQuotas) -> Quotas:
        """The quotas that these settings allow, counted in `counts`."""
        return cls(
            keys=Quota(counts, "keys", settings.keys_per_day, DAY_SECONDS, TooManyKeys),
            bulk_per_minute=Quota(
                counts, "bulk-minute", settings.bulk_per_minute, MINUTE_SECONDS, TooManyBulkRequests, REFUSED_AS_ONE
            ),
            bulk_per_day=Quota(counts, "bulk-day", settings.bulk_per_day, DAY_SECONDS, TooManyBulkRequests),
            searches_per_minute=Quota(
                counts, "search-minute", settings.people_searches_per_minute, MINUTE_SECONDS, TooManySearches
            ),
            searches_per_day=Quota(
                counts, "search-day", settings.people_searches_per_day, DAY_SECONDS, TooManySearches
            ),
            withdrawals_per_ten_seconds=Quota(
                counts,
                "withdrawal-ten-seconds",
                settings.withdrawals_per_ten_seconds,
                TEN_SECONDS,
                TooFrequentWithdrawals,
                REFUSED_AS_ONE,
            ),
            small_transfers=Quota(
                counts, "small", settings.small_transfers_per_day, DAY_SECONDS, TooManySmallTransfers
            ),
            small_below=settings.small_transfer_below_paise,
        )

    @property
    def withdrawals(self) -> tuple[Quota, ...]:
        """Those of a request for a withdrawal."""
        return (self.withdrawals_per_ten_seconds,)

    @property
    def bulk(self) -> tuple[Quota, ...]:
        """Those of a bulk request."""
        return (self.bulk_per_minute, self.bulk_per_day)

    @contextmanager
    def search(self, owner_id: UUID) -> Iterator[None]:
        """The block searches for people. A search that is refused does not count. Raises TooManySearches."""
        places, used_up = take_all((self.searches_per_minute, self.searches_per_day), owner_id)
        if used_up is not None:
            used_up.audit(owner_id)
            raise used_up.refusal(owner_id)
        is_refused = False
        try:
            yield
        except BatuaError:
            is_refused = True
            raise
        finally:
            for place in places:
                place.give_back() if is_refused else place.keep()
