"""Signing up over HTTP, by the JSON route and by the page of each app."""

from __future__ import annotations

from pydantic import ConfigDict

from shared.auth import commands
from shared.auth.views import PersonProfile, ShopProfile
from shared.calendar import INDIA
from shared.http.fields import Body, Email, Name, Password, Pin, Timezone
from shared.runtime.resources import Resources

DEFAULT_TIMEZONE = INDIA.key


class PersonIn(Body):
    """A new person."""

    email: Email
    password: Password
    pin: Pin
    first_name: Name
    last_name: Name

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "email": "alice@example.com",
                    "password": "correct horse",
                    "pin": "4812",
                    "first_name": "Alice",
                    "last_name": "Rao",
                }
            ]
        }
    )


class ShopIn(Body):
    """A new shop."""

    email: Email
    password: Password
    pin: Pin
    business_name: Name
    category: Name | None = None
    timezone: Timezone = DEFAULT_TIMEZONE

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "email": "shop@example.com",
                    "password": "correct horse",
                    "pin": "4812",
                    "business_name": "Chai Point",
                    "category": "tea",
                    "timezone": "Asia/Kolkata",
                }
            ]
        }
    )


async def sign_up_person(
    resources: Resources, body: PersonIn, *, address: str, welcome_balance_paise: int
) -> PersonProfile:
    """Sign up the person. Raises NameNotAllowed, TooManySignUps, WeakSecret, HashingBusy, EmailTaken."""
    return await commands.sign_up_person(
        email=body.email,
        password=body.password.get_secret_value(),
        pin=body.pin.get_secret_value(),
        first_name=body.first_name,
        last_name=body.last_name,
        welcome_balance_paise=welcome_balance_paise,
        app_url=resources.settings.public_url,
        address=address,
        sessionmaker=resources.sessionmaker,
        hasher=resources.hasher,
        throttle=resources.throttle,
    )


async def sign_up_shop(resources: Resources, body: ShopIn, *, address: str) -> ShopProfile:
    """Sign up the shop. Raises NameNotAllowed, TooManySignUps, WeakSecret, HashingBusy, EmailTaken."""
    return await commands.sign_up_shop(
        email=body.email,
        password=body.password.get_secret_value(),
        pin=body.pin.get_secret_value(),
        business_name=body.business_name,
        category=body.category,
        timezone=body.timezone,
        app_url=resources.settings.public_url,
        address=address,
        sessionmaker=resources.sessionmaker,
        hasher=resources.hasher,
        throttle=resources.throttle,
    )
