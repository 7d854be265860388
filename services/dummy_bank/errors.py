"""How a bank says no: a status, a code a program can rely on, and words for a person."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.banks.messages import BANK_DOWN


@dataclass(eq=False)
class BankSaysNo(Exception):
    """Answered as problem+json that also carries `code` and `message`, the banks' own words."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)


def bank_is_down() -> BankSaysNo:
    """The bank is down; nothing was done."""
    return BankSaysNo(503, BANK_DOWN, "The bank is down. Nothing was done.", {"Retry-After": "1"})


def internal_error() -> BankSaysNo:
    """The bank stumbled before it did anything."""
    return BankSaysNo(500, "INTERNAL_ERROR", "The bank could not answer.")
