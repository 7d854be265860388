"""What merchant_app reads from the environment."""

from __future__ import annotations

from shared.runtime.resources import AccountSettings


class MerchantAppSettings(AccountSettings):
    """Where people reach user_app."""

    user_app_url: str | None = None
    """Base address at which browsers reach user_app, for links that pay a shop; without it, none are shown."""
