"""Changing the password and the PIN over HTTP: the part of a profile's JSON that both apps share."""

from __future__ import annotations

from shared.auth.errors import CurrentPasswordIncorrect, HashingBusy, TooManyAttempts, WeakSecret
from shared.auth.secrets_change import SecretsChange
from shared.errors import BatuaError
from shared.http.errors import InvalidRequest
from shared.http.fields import Body, GivenPassword, Password, Pin

SECRET_ERRORS: tuple[type[BatuaError], ...] = (CurrentPasswordIncorrect, WeakSecret, TooManyAttempts, HashingBusy)


class SecretsIn(Body):
    """New secrets of a profile; each needs `current_password`."""

    current_password: GivenPassword | None = None
    new_password: Password | None = None
    new_pin: Pin | None = None

    def secrets(self, address: str) -> SecretsChange | None:
        """What changes, None if nothing does. Raises InvalidRequest if `current_password` is missing."""
        if self.new_password is None and self.new_pin is None:
            return None
        if self.current_password is None:
            raise InvalidRequest.of("current_password", "required to change the password or the PIN")
        return SecretsChange(
            address=address,
            current_password=self.current_password.get_secret_value(),
            new_password=None if self.new_password is None else self.new_password.get_secret_value(),
            new_pin=None if self.new_pin is None else self.new_pin.get_secret_value(),
        )
