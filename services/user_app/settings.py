"""What user_app reads from the environment."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from shared.banks.settings import BankSettings
from shared.config import OnRampSettings, Settings
from shared.runtime.resources import AccountSettings


class WelcomeSettings(Settings):
    """What a new person finds in the wallet."""

    welcome_balance_paise: int = Field(default=0, ge=0)
    """A gift at sign-up, posted as a transfer of kind `funding`. 0 outside demos, and in production."""

    def refusals(self) -> Iterator[str]:
        """A gift: it could be taken again and again by signing up."""
        yield from super().refusals()
        if self.welcome_balance_paise:
            yield "BATUA_WELCOME_BALANCE_PAISE gives money to each who signs up: leave it out"


class UserAppSettings(AccountSettings, BankSettings, OnRampSettings, WelcomeSettings):
    """Settings of accounts, of the banks and on-ramps, and the welcome balance."""

    @property
    def public_url(self) -> str:
        """The address of user_app."""
        return self.user_app_url
