"""What merchant_app reads from the environment."""

from __future__ import annotations

from shared.config import WithdrawalSettings
from shared.runtime.resources import AccountSettings


class MerchantAppSettings(AccountSettings, WithdrawalSettings):
    """`BATUA_*`: database, Redis, tokens, passwords, throttling, withdrawals, where people pay."""

    user_app_url: str | None = None
    """Where user_app is reached, for links that pay this shop; without it, none are shown."""
