"""The console's form of the faults: their groups and labels, and a switch, slider, choice or number for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from services.dummy_bank.faults import Faults

Kind = Literal["switch", "slider", "number", "choice"]
HOLD_CHOICES = {"": "Nowhere", "before_work": "Before the work", "after_work": "After the work"}
_SLIDER_STEPS = 100


@dataclass(frozen=True, slots=True)
class FaultField:
    """One fault: its name in the API, and its label and hint on the console."""

    name: str
    label: str
    hint: str
    kind: Kind = "slider"
    unit: str = ""
    limit: int = 1


GROUPS: tuple[tuple[str, tuple[FaultField, ...]], ...] = (
    (
        "Availability",
        (
            FaultField("down", "Down", "Answers 503 to every call and sends no notices", "switch"),
            FaultField("error_rate", "Errors", "500 before any work"),
            FaultField("latency_ms", "Latency", "Before every answer", "number", "ms", 60_000),
            FaultField("latency_tail_ms", "Latency tail", "Sometimes added, up to", "number", "ms", 60_000),
            FaultField("seed", "Seed", "The same seed draws the same faults", "number", "", 2**31 - 1),
        ),
    ),
    (
        "Payouts",
        (
            FaultField("timeout_after_rate", "Pays, no answer", "The money is sent, the answer never comes"),
            FaultField("refuse_rate", "Refuses", "422, for good"),
            FaultField("async_rate", "Answers later", "202 now, the outcome by notice"),
            FaultField("async_delay_ms", "Answers later after", "Payouts with a 202", "number", "ms", 60_000),
            FaultField("reversal_rate", "Reverses", "Paid, then the money comes back"),
            FaultField("hold_at", "Hold calls", "Until the faults change", "choice"),
            FaultField("idempotency", "Idempotency", "The same reference is paid once", "switch"),
        ),
    ),
    (
        "Webhook notices",
        (
            FaultField("webhook_duplicate_rate", "Duplicated", "Sent twice at once"),
            FaultField("webhook_drop_rate", "Dropped", "Never sent"),
            FaultField("webhook_reorder_rate", "Out of order", "A newer notice is sent first"),
            FaultField("webhook_wrong_amount_rate", "Wrong amount", "A notice with ₹1 too much is sent first"),
            FaultField("webhook_bad_signature_rate", "Bad signature", "A notice signed with another key is sent first"),
            FaultField("webhook_delay_ms", "Delay", "Before the first attempt", "number", "ms", 60_000),
        ),
    ),
)


def groups_of(
    faults: Faults, typed: Mapping[str, str] | None, wrong: Mapping[str, str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The groups with what is set now, or with what was `typed` and what is `wrong` with it."""
    values = faults.model_dump()
    return [
        (title, [_field(fault, values[fault.name], typed, wrong.get(fault.name)) for fault in fields])
        for title, fields in GROUPS
    ]


def count_of(faults: Faults) -> int:
    """How many faults are on."""
    none = Faults(seed=faults.seed)
    return sum(value != getattr(none, name) for name, value in faults.model_dump().items())


def read(form: Mapping[str, str]) -> Faults:
    """The faults a form asks for: a switch not ticked is off, a number left empty is 0. Raises ValidationError."""
    chosen: dict[str, object] = {}
    for _, fields in GROUPS:
        for fault in fields:
            if fault.kind == "switch":
                chosen[fault.name] = fault.name in form
            elif text := form.get(fault.name, "").strip():
                chosen[fault.name] = text
    # A form has only text, so numbers are read from it here; the bounds are the same.
    return Faults.model_validate(chosen, strict=False)


def _field(fault: FaultField, value: Any, typed: Mapping[str, str] | None, wrong: str | None) -> dict[str, Any]:
    if typed is not None:
        value = fault.name in typed if fault.kind == "switch" else typed.get(fault.name, "")
    return {"fault": fault, "value": value, "wrong": wrong, "step": _step(value)}


def _step(value: Any) -> str:
    """A slider's step: hundredths, unless the API has set a finer value, which the form must keep."""
    is_even = not isinstance(value, float) or round(value * _SLIDER_STEPS) == value * _SLIDER_STEPS
    return "0.01" if is_even else "any"
