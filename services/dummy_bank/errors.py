"""The errors that a bank answers with: a status, a code for programs and a message for people."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.banks.messages import BANK_DOWN


@dataclass(eq=False)
class BankError(Exception):
    """Answered as problem+json that also carries `code` and `message`, as banks do."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)


def bank_is_down() -> BankError:
    """The bank is down; nothing was done."""
    return BankError(503, BANK_DOWN, "The bank is down. Nothing was done.", {"Retry-After": "1"})


def internal_error() -> BankError:
    """The bank failed before it did any work."""
    return BankError(500, "INTERNAL_ERROR", "The bank could not answer.")
