"""The quotas of owners that are counted over time, as the settings say."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from shared.owner_quotas import OwnerQuotas
from shared.quotas.counts import DAY_SECONDS, MINUTE_SECONDS, TEN_SECONDS, Counts, Quota
from shared.quotas.errors import (
    TooFrequentWithdrawals,
    TooManyBulkRequests,
    TooManyKeys,
    TooManySearches,
    TooManySmallTransfers,
)


@dataclass(frozen=True, slots=True)
class Quotas:
    """What is checked before a request of an owner is carried out, and counted after it."""

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
            bulk_per_minute=Quota(counts, "bulk-minute", settings.bulk_per_minute, MINUTE_SECONDS, TooManyBulkRequests),
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

    def take_search(self, owner_id: UUID) -> None:
        """Count a search for people, if there is room for it. Raises TooManySearches."""
        for quota in (self.searches_per_minute, self.searches_per_day):
            quota.require_room(owner_id)
        for quota in (self.searches_per_minute, self.searches_per_day):
            quota.count(owner_id)
