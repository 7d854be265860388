"""How long banks take to answer, and what they answer, for Prometheus and in traces."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from prometheus_client import Histogram

from shared import spans
from shared.banks.errors import MayHaveBeenSent, NotSent, Refused

_SECONDS = Histogram(
    "batua_bank_call_seconds",
    "Calls to banks by outcome: answered, refused, not_sent, may_have_been_sent, given_up",
    ["bank", "call", "outcome"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_OUTCOMES = {Refused: "refused", NotSent: "not_sent", MayHaveBeenSent: "may_have_been_sent"}

P = ParamSpec("P")
R = TypeVar("R")
_Method = Callable[Concatenate[Any, P], Awaitable[R]]


def timed_call(method: _Method[P, R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """Note how long each call of a client's method takes, and how it ends, under the method's name.

    `given_up`: the caller left, or something else went wrong.
    """
    name = method.__name__

    @functools.wraps(method)
    async def timed(client: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        began, outcome = time.perf_counter(), "given_up"
        with spans.span(f"bank {name}", "client") as step:
            try:
                result = await method(client, *args, **kwargs)
                outcome = "answered"
                return result
            except (Refused, NotSent, MayHaveBeenSent) as error:
                outcome = _OUTCOMES[type(error)]
                raise
            finally:
                step.describe({"batua.bank": client.bank.code, "batua.outcome": outcome})
                _SECONDS.labels(client.bank.code, name, outcome).observe(time.perf_counter() - began)

    return timed
