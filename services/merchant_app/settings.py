"""What merchant_app reads from the environment."""

from __future__ import annotations

from collections.abc import Iterator

from shared.production import plain_http
from shared.runtime.resources import AccountSettings


class MerchantAppSettings(AccountSettings):
    """Where browsers reach the two apps."""

    user_app_url: str | None = None
    """Base address at which browsers reach user_app, for links that pay a shop; without it, none are shown."""

    merchant_app_url: str
    """Base address at which browsers reach merchant_app; the link that confirms a shop's email leads there."""

    @property
    def public_url(self) -> str:
        """The address of merchant_app."""
        return self.merchant_app_url

    def refusals(self) -> Iterator[str]:
        """Links to an address without TLS."""
        yield from super().refusals()
        yield from plain_http("BATUA_MERCHANT_APP_URL", self.merchant_app_url)
        yield from plain_http("BATUA_USER_APP_URL", self.user_app_url)
