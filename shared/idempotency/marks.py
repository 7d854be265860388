"""Requests that this process carries out now, by their idempotency keys.

A mark only saves work: it turns a copy away before the copy costs a transaction that moves money. Finished answers are
in Postgres alone, which also decides between copies in different processes (see `store`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from shared.db.engine import SessionMaker
from shared.db.retries import in_transaction
from shared.errors import BatuaError, Unavailable
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim
from shared.idempotency.errors import IdempotencyKeyReused, RequestInFlight
from shared.idempotency.store import KeyName
from shared.quotas.counts import Quota


class Marks:
    """The keys in flight in one process, as many as it has requests under way. `quota` bounds an owner's new keys."""

    def __init__(self, lookup_sessionmaker: SessionMaker, quota: Quota | None = None) -> None:
        self._lookup_sessionmaker = lookup_sessionmaker
        self._quotas = () if quota is None else (quota,)
        self._in_flight: dict[KeyName, Claim] = {}

    async def run(self, claim: Claim, work: Callable[[], Awaitable[Answer]], *, quotas: Iterable[Quota] = ()) -> Answer:
        """Run `work` under the mark of its key, which is freed in any case. `work` claims the key in Postgres.

        `quotas` bound an owner's new requests of this kind.

        A copy of a request in flight gets the first answer if Postgres has one, else RequestInFlight, or
        IdempotencyKeyReused if its body differs. So does a request that `work` rejects: a copy in another process may
        have finished it since `work` found the key taken, or the recipient may be gone since it was finished. So does
        any new request of an owner who has used up the quota of new keys, or one of `quotas`: it gets its error.
        """
        marked = self._in_flight.get(claim.name)
        if marked is not None:
            return await self._finished(claim, _error_of_copy(claim, marked))
        self._in_flight[claim.name] = claim
        try:
            return await _within_quotas([*self._quotas, *quotas], claim, work)
        except (IdempotencyKeyReused, Unavailable):
            raise
        except BatuaError as error:
            return await self._finished(claim, error)
        finally:
            del self._in_flight[claim.name]

    async def _finished(self, claim: Claim, otherwise: BatuaError) -> Answer:
        """The first answer of the request, as Postgres has it. Raises `otherwise` if there is none."""
        known = await in_transaction(self._lookup_sessionmaker, lambda session: store.find(session, claim))
        if known is None:
            raise otherwise
        return known


async def _within_quotas(quotas: Iterable[Quota], claim: Claim, work: Callable[[], Awaitable[Answer]]) -> Answer:
    taken: list[tuple[Quota, int]] = []
    is_new = False
    try:
        for quota in quotas:
            taken.append((quota, quota.take(claim.owner_id)))  # noqa: PERF401 - if the second raises, the first is known
        answer = await work()
        is_new = not answer.is_replayed
        return answer
    finally:
        if not is_new:
            for quota, period in taken:
                quota.give_back(claim.owner_id, period)


def _error_of_copy(claim: Claim, marked: Claim) -> BatuaError:
    if claim.fingerprint == marked.fingerprint:
        return RequestInFlight()
    return IdempotencyKeyReused(claim.differing_fields(marked.field_hashes))
