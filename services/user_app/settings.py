"""What user_app reads from the environment."""

from __future__ import annotations

from shared.config import BankSettings, OnRampSettings, WelcomeSettings, WithdrawalSettings
from shared.runtime.resources import AccountSettings


class UserAppSettings(AccountSettings, BankSettings, OnRampSettings, WithdrawalSettings, WelcomeSettings):
    """`BATUA_*`: database, Redis, tokens, passwords, throttling, the banks, on-ramps, withdrawals, welcome balance."""
