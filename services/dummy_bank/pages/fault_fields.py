"""How each fault is asked for on the console: in groups, in words, as a switch, a slider, a choice or a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from services.dummy_bank.faults import Faults

Kind = Literal["switch", "slider", "number", "choice"]
HOLD_CHOICES = {"": "Nowhere", "before_work": "Before the work", "after_work": "After the work"}
_SLIDER_STEPS = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """One fault: its name on the wire, and what a person is told."""

    name: str
    label: str
    hint: str
    kind: Kind = "slider"
    unit: str = ""
    limit: int = 1


GROUPS: tuple[tuple[str, tuple[Asked, ...]], ...] = (
    (
        "Availability",
        (
            Asked("down", "Down", "Refuses every call and sends no notices", "switch"),
            Asked("error_rate", "Stumbles", "500 before anything was done"),
            Asked("latency_ms", "Latency", "Every answer", "number", "ms", 60_000),
            Asked("latency_tail_ms", "Latency tail", "Now and then, up to", "number", "ms", 60_000),
            Asked("seed", "Seed", "The same seed draws the same faults", "number", "", 2**31 - 1),
        ),
    ),
    (
        "Payouts",
        (
            Asked("timeout_after_rate", "Pays, then hangs", "The money is sent, the answer never comes"),
            Asked("refuse_rate", "Refuses", "A final no"),
            Asked("async_rate", "Tells later", "202 now, the outcome by notice"),
            Asked("async_delay_ms", "Tells later after", "For those told later", "number", "ms", 60_000),
            Asked("reversal_rate", "Sends back", "Paid, then returned"),
            Asked("hold_at", "Hold calls", "Until the faults change", "choice"),
            Asked("idempotency", "Idempotency", "The same reference is paid once", "switch"),
        ),
    ),
    (
        "Webhook notices",
        (
            Asked("webhook_duplicate_rate", "Duplicated", "Sent twice at once"),
            Asked("webhook_drop_rate", "Dropped", "Never sent"),
            Asked("webhook_reorder_rate", "Overtaken", "A newer one goes first"),
            Asked("webhook_wrong_amount_rate", "Wrong amount", "One with ₹1 too much goes first"),
            Asked("webhook_bad_signature_rate", "Bad signature", "One signed with another key goes first"),
            Asked("webhook_delay_ms", "Delay", "Before the first attempt", "number", "ms", 60_000),
        ),
    ),
)


def groups_of(
    faults: Faults, typed: Mapping[str, str] | None, wrong: Mapping[str, str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The groups with what is set now, or with what was `typed` and what is `wrong` with it."""
    values = faults.model_dump()
    return [
        (title, [_field(asked, values[asked.name], typed, wrong.get(asked.name)) for asked in fields])
        for title, fields in GROUPS
    ]


def count_of(faults: Faults) -> int:
    """How many faults are on."""
    well = Faults(seed=faults.seed)
    return sum(value != getattr(well, name) for name, value in faults.model_dump().items())


def read(form: Mapping[str, str]) -> Faults:
    """The faults a form asks for: a switch not ticked is off, a number left empty is 0. Raises ValidationError."""
    chosen: dict[str, object] = {}
    for _, fields in GROUPS:
        for asked in fields:
            if asked.kind == "switch":
                chosen[asked.name] = asked.name in form
            elif text := form.get(asked.name, "").strip():
                chosen[asked.name] = text
    # A form has only text, so numbers are read from it here; the bounds are the same.
    return Faults.model_validate(chosen, strict=False)


def _field(asked: Asked, value: Any, typed: Mapping[str, str] | None, wrong: str | None) -> dict[str, Any]:
    if typed is not None:
        value = asked.name in typed if asked.kind == "switch" else typed.get(asked.name, "")
    return {"asked": asked, "value": value, "wrong": wrong, "step": _step(value)}


def _step(value: Any) -> str:
    """Hundredths; but a slider must not round away what was set more finely over the API."""
    is_even = not isinstance(value, float) or round(value * _SLIDER_STEPS) == value * _SLIDER_STEPS
    return "0.01" if is_even else "any"
