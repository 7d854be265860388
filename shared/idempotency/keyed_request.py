"""A request that carries an idempotency key, as a flow receives it.

A flow gives the plain values that tell the request from others, and later what happened. The operation knows the rest:
how HTTP names it, which status its success has, and how what happened is written as JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from shared.idempotency.claims import Answer, Claim, claim_for

ViewT = TypeVar("ViewT")


@dataclass(frozen=True, slots=True)
class Operation(Generic[ViewT]):
    """A kind of request that is safe to repeat. `method` and `route` are part of every fingerprint: never change them.

    `success_status` is stored with the answer; `to_body` writes the flow's view of what happened as JSON, once: a
    replay answers the stored body.
    """

    method: str
    route: str
    success_status: int
    to_body: Callable[[ViewT], dict[str, Any]]

    def request(self, owner_id: UUID, key: str) -> KeyedRequest[ViewT]:
        """The request of this owner with this key."""
        return KeyedRequest(owner_id, key, self)


@dataclass(frozen=True, slots=True)
class KeyedRequest(Generic[ViewT]):
    """One owner's request for an operation, under the key that the owner chose."""

    owner_id: UUID
    key: str
    operation: Operation[ViewT]

    def claim(self, **fields: Any) -> Claim:
        """What the key stands for. `fields` are the values asked for, None included, secrets left out."""
        operation = self.operation
        return claim_for(self.owner_id, self.key, method=operation.method, route=operation.route, body=fields)

    def answer(self, view: ViewT) -> Answer:
        """The answer to store beside the key and to give now."""
        return Answer(self.operation.success_status, self.operation.to_body(view))
