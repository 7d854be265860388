"""Requests that this process carries out now, by their idempotency keys.

A mark only saves work: it turns a copy away before the copy costs a transaction that moves money. Finished answers are
in Postgres alone, which also decides between copies in different processes (see `store`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from shared.db.engine import SessionMaker
from shared.db.retries import in_transaction
from shared.errors import BatuaError, Unavailable
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim
from shared.idempotency.errors import IdempotencyKeyReused, RequestInFlight
from shared.idempotency.store import KeyName
from shared.quotas.counts import Place, Quota, take_all


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
            places, used_up = take_all([*self._quotas, *quotas], claim.owner_id)
            if used_up is not None:
                return await self._beyond(used_up, claim)
            return await _in_places(places, lambda: self._answer(claim, work))
        finally:
            del self._in_flight[claim.name]

    async def _answer(self, claim: Claim, work: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            return await work()
        except (IdempotencyKeyReused, Unavailable):
            raise
        except BatuaError as error:
            return await self._finished(claim, error)

    async def _beyond(self, quota: Quota, claim: Claim) -> Answer:
        """The first answer of a request for which there is no place. Only one without an answer is a hit."""
        known = await self._known(claim)
        if known is None:
            quota.audit(claim.owner_id)
            raise quota.refusal(claim.owner_id)
        return known

    async def _finished(self, claim: Claim, otherwise: BatuaError) -> Answer:
        """The first answer of the request, as Postgres has it. Raises `otherwise` if there is none."""
        known = await self._known(claim)
        if known is None:
            raise otherwise
        return known

    async def _known(self, claim: Claim) -> Answer | None:
        return await in_transaction(self._lookup_sessionmaker, lambda session: store.find(session, claim))


async def _in_places(places: Sequence[Place], work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Run `work`, which fills the places if it does something new. A refusal is work too; an outage is not the owner's,
    and to ask again while the first request is in flight is what the owner is told to do.
    """
    settle = Place.give_back
    try:
        answer = await work()
        if not answer.is_replayed:
            settle = Place.keep
        return answer
    except (RequestInFlight, Unavailable):
        raise
    except BatuaError:
        settle = Place.refuse
        raise
    finally:
        for place in places:
            settle(place)


def _error_of_copy(claim: Claim, marked: Claim) -> BatuaError:
    if claim.fingerprint == marked.fingerprint:
        return RequestInFlight()
    return IdempotencyKeyReused(claim.differing_fields(marked.field_hashes))
