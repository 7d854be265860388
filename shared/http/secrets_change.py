"""Changing the password and the PIN over HTTP, by the JSON routes and by the pages of both apps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.errors import CurrentPasswordIncorrect, HashingBusy, TooManyAttempts
from shared.auth.queries import NewSecrets, prepare_secrets, store_secrets
from shared.auth.tokens import Identity
from shared.errors import BatuaError
from shared.http.dependencies import Caller, ClientAddress, CurrentResources
from shared.http.errors import InvalidRequest
from shared.http.fields import Body, GivenPassword, Password, Pin
from shared.runtime.resources import Resources

SECRET_ERRORS: tuple[type[BatuaError], ...] = (CurrentPasswordIncorrect, TooManyAttempts, HashingBusy)


class SecretsBody(Body):
    """New secrets of a profile; each needs `current_password`."""

    current_password: GivenPassword | None = None
    new_password: Password | None = None
    new_pin: Pin | None = None


@dataclass(frozen=True, slots=True)
class SecretsChange:
    """Checks and hashes before a transaction is open, then stores within the route's."""

    resources: Resources
    caller: Identity
    address: str

    async def prepare(self, body: SecretsBody) -> NewSecrets | None:
        """None when no secret changes. Raises InvalidRequest without `current_password`, and SECRET_ERRORS."""
        if body.new_password is None and body.new_pin is None:
            return None
        if body.current_password is None:
            raise InvalidRequest.of("current_password", "required to change the password or the PIN")
        return await prepare_secrets(
            self.resources.sessionmaker,
            hasher=self.resources.hasher,
            throttle=self.resources.throttle,
            identity=self.caller,
            address=self.address,
            current_password=body.current_password.get_secret_value(),
            new_password=None if body.new_password is None else body.new_password.get_secret_value(),
            new_pin=None if body.new_pin is None else body.new_pin.get_secret_value(),
        )

    async def store(self, session: AsyncSession, prepared: NewSecrets | None) -> None:
        """Write what was prepared. Raises CurrentPasswordIncorrect when the password changed meanwhile."""
        if prepared is not None:
            await store_secrets(session, self.caller, prepared)


def _secrets_change(resources: CurrentResources, caller: Caller, address: ClientAddress) -> SecretsChange:
    return SecretsChange(resources, caller, address)


CurrentSecretsChange = Annotated[SecretsChange, Depends(_secrets_change)]
