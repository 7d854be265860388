"""Reminders to replace a password or a PIN that was set before those easy to guess were refused.

Whether one is easy is known while it is checked, and kept in a cookie of the browser that sent it. It is not stored
beside the hashes: there it would tell a thief which of them to try first.
"""

from __future__ import annotations

from enum import StrEnum

from fastapi import Request
from pydantic import SecretStr
from starlette.responses import Response

from shared.auth.weak_secrets import is_weak_password, is_weak_pin
from shared.config import Settings
from shared.http.cookies import set_cookie
from shared.http.sessions import LoginIn

REMINDED_SECONDS = 30 * 24 * 3600


class Reminder(StrEnum):
    """What is easy to guess: the path below `/profile` that replaces it."""

    PASSWORD = "password"  # noqa: S105 - the name of a form
    PIN = "pin"

    @property
    def cookie(self) -> str:
        """The cookie that says so."""
        return f"weak_{self}"


def reminders(request: Request) -> list[Reminder]:
    """What the page after sign-in asks the owner to replace."""
    return [each for each in Reminder if each.cookie in request.cookies]


def remind_of_pin(response: Response, settings: Settings, pin: SecretStr) -> Response:
    """Remember if this PIN, which was right, is easy to guess."""
    if is_weak_pin(pin.get_secret_value()):
        _remember(response, settings, Reminder.PIN)
    return response


def remind_of_password(response: Response, settings: Settings, typed: LoginIn) -> Response:
    """Remember if this password, which was right, is easy to guess. What was known of another owner is forgotten."""
    forget(response, Reminder.PASSWORD, Reminder.PIN)
    if is_weak_password(typed.password.get_secret_value(), email=typed.email):
        _remember(response, settings, Reminder.PASSWORD)
    return response


def forget(response: Response, *replaced: Reminder) -> Response:
    """Remind no longer of what was replaced."""
    for each in replaced:
        response.delete_cookie(each.cookie, path="/", httponly=True, samesite="lax")
    return response


def _remember(response: Response, settings: Settings, reminder: Reminder) -> None:
    set_cookie(response, reminder.cookie, "1", settings=settings, max_age=REMINDED_SECONDS)
