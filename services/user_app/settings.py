"""What user_app reads from the environment."""

from __future__ import annotations

from shared.config import BankSettings, OnRampSettings, WelcomeSettings
from shared.runtime.resources import AccountSettings


class UserAppSettings(AccountSettings, BankSettings, OnRampSettings, WelcomeSettings):
    """`BATUA_*`: database, Redis, tokens, passwords, throttling, the banks, on-ramps, welcome balance."""
