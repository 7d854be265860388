"""The options of a field that chooses one of the user's accounts."""

from __future__ import annotations

from collections.abc import Iterable

from shared.models import Account


def account_options(accounts: Iterable[Account]) -> list[tuple[str, str]]:
    """Ids and names: the wallet is called so, a pot has its own name."""
    return [(str(each.id), "Wallet" if each.kind == "wallet" else each.name) for each in accounts]
