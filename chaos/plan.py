"""What breaks when, drawn from the seed: the same seed draws the same faults in the same order.

What a fault hits at that moment depends on the run: which requests are under way is up to the machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from shared.banks.table import BANKS

FaultKind = Literal["kill", "kill one", "terminate", "pause", "cut", "bank", "postgres", "power cut"]

MEAN_GAP_SECONDS = 4.0
"""Between two faults, on the reference machine."""
SHARED = ("user_app", "merchant_app", "bank_webhook")
"""Several processes of each share a port."""
SERVICES = (*SHARED, "withdraw_worker", "scheduler", "dummy_bank")
STORES = ("redis", "broker")
WAYS_TO_END_POSTGRES = ("the server", "one backend", "immediate shutdown")
CUT: Mapping[str, tuple[str, ...]] = {
    "user_app": ("postgres", "redis", "broker", "dummy_bank", "callers"),
    "merchant_app": ("postgres", "redis", "broker", "callers"),
    "bank_webhook": ("postgres", "callers"),
    "withdraw_worker": ("postgres", "broker", "dummy_bank"),
    "dummy_bank": ("bank_webhook",),
}
"""The connections of each process that can be cut: to whom. `callers` are those it accepted."""

_BANK_FAULTS: tuple[Mapping[str, Any], ...] = (
    {"latency_ms": 300, "latency_tail_ms": 4000},
    {"down": True},
    {"error_rate": 0.6},
    {"timeout_after_rate": 0.7},
    {"refuse_rate": 0.5},
    {"async_rate": 0.8, "async_delay_ms": 1500},
    {"reversal_rate": 0.6, "async_delay_ms": 700},
    {"webhook_duplicate_rate": 1.0},
    {"webhook_delay_ms": 2500},
    {"webhook_reorder_rate": 0.7},
    {"webhook_drop_rate": 0.6},
    {"webhook_wrong_amount_rate": 0.6},
    {"webhook_bad_signature_rate": 0.7},
    {"hold_at": "before_work"},
    {"hold_at": "after_work"},
)
"""docs/bank-wire-formats.md says what each does. Some strike together."""
_PAID_WITHOUT_ANSWER: Mapping[str, Any] = {"timeout_after_rate": 0.7, "idempotency": False}
_OPENING_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Fault:
    """`gap_seconds` after the one before it, something happens to `target`, in some cases for `seconds`."""

    gap_seconds: float
    kind: FaultKind
    target: str
    seconds: float = 0
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        says = " ".join(f"{name}={value}" for name, value in self.details.items())
        return f"{self.kind} {self.target}{lasts} {says}".rstrip()


def faults(seed: int) -> Iterator[Fault]:
    """The faults of a run, without end.

    First each bank pays and does not answer: to send such a payout again is the costliest mistake, and chance alone
    would leave it untried in a third of all runs of two minutes.
    """
    dice = random.Random(f"faults of {seed}")
    draws: dict[str, _Draw] = {**_DRAWS, "bank": (24, partial(_bank, _dealt(dice)))}
    weights = [weight for weight, _ in draws.values()]
    for bank in BANKS:
        chosen = {**_PAID_WITHOUT_ANSWER, "seed": dice.randrange(2**31)}
        yield Fault(_gap_seconds(dice), "bank", bank, _OPENING_SECONDS, chosen)
    while True:
        (kind,) = dice.choices(list(draws), weights)
        yield draws[kind][1](dice, _gap_seconds(dice))


def _gap_seconds(dice: random.Random) -> float:
    return min(dice.expovariate(1 / MEAN_GAP_SECONDS), 3 * MEAN_GAP_SECONDS)


def _dealt(dice: random.Random) -> Iterator[Mapping[str, Any]]:
    """What a bank can do wrong: each once, in any order, before any comes again."""
    while True:
        yield from dice.sample(_BANK_FAULTS, len(_BANK_FAULTS))


def _kill(dice: random.Random, gap: float) -> Fault:
    return Fault(gap, "kill", dice.choice([*SERVICES, *SERVICES, *STORES, "smtp"]))


def _kill_one(dice: random.Random, gap: float) -> Fault:
    return Fault(gap, "kill one", dice.choice(SHARED))


def _terminate(dice: random.Random, gap: float) -> Fault:
    return Fault(gap, "terminate", dice.choice(SERVICES))


def _pause(dice: random.Random, gap: float) -> Fault:
    return Fault(gap, "pause", dice.choice([*SERVICES, *STORES, "postgres"]), dice.uniform(0.5, 6))


def _cut(dice: random.Random, gap: float) -> Fault:
    target = dice.choice(list(CUT))
    return Fault(gap, "cut", target, details={"to": dice.choice(CUT[target])})


def _bank(dealt: Iterator[Mapping[str, Any]], dice: random.Random, gap: float) -> Fault:
    chosen: dict[str, Any] = {"seed": dice.randrange(2**31), "idempotency": dice.random() < 0.5}
    for _ in range(dice.choice([1, 1, 2, 3])):
        chosen |= next(dealt)
    return Fault(gap, "bank", dice.choice(list(BANKS)), dice.uniform(4, 15), chosen)


def _postgres(dice: random.Random, gap: float) -> Fault:
    return Fault(gap, "postgres", "postgres", details={"way": dice.choice(WAYS_TO_END_POSTGRES)})


def _power_cut(dice: random.Random, gap: float) -> Fault:
    return Fault(gap, "power cut", "everything")


_Draw = tuple[float, Callable[[random.Random, float], Fault]]
"""How often a kind is drawn, compared with others, and what draws its details."""
_DRAWS: Mapping[str, _Draw] = {
    "kill": (24, _kill),
    "kill one": (10, _kill_one),
    "terminate": (6, _terminate),
    "pause": (12, _pause),
    "cut": (18, _cut),
    "postgres": (6, _postgres),
    "power cut": (1, _power_cut),
}
