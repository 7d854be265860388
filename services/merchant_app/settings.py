"""What merchant_app reads from the environment."""

from __future__ import annotations

from shared.config import WithdrawalSettings
from shared.web.resources import AccountSettings


class MerchantAppSettings(AccountSettings, WithdrawalSettings):
    """`BATUA_*`: database, Redis, tokens, passwords, throttling, withdrawals."""
