"""What user_app reads from the environment."""

from __future__ import annotations

from shared.banks.settings import BankSettings
from shared.config import OnRampSettings, WelcomeSettings
from shared.runtime.resources import AccountSettings


class UserAppSettings(AccountSettings, BankSettings, OnRampSettings, WelcomeSettings):
    """Settings of accounts, of the banks and on-ramps, and the welcome balance."""
