"""What a browser sends by itself with a page and with a form."""

from __future__ import annotations

import httpx

from shared.ids import new_token
from tests.support.apps import PASSWORD, PIN, RunningApp

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OWN_FORM = HTML | {"sec-fetch-site": "same-origin"}


def fresh_email() -> str:
    return f"{new_token(8).lower().strip('-_')}@example.com"


async def open_page(app: RunningApp, path: str) -> httpx.Response:
    return await app.client.get(path, headers=HTML)


async def send_form(app: RunningApp, path: str, **fields: str) -> httpx.Response:
    return await app.client.post(path, data=fields, headers=OWN_FORM)


async def follow(app: RunningApp, answer: httpx.Response) -> httpx.Response:
    """The page that a form leads to, with the cookies of this answer and no other ones."""
    assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
    cookies = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
    return await app.client.get(answer.headers["location"], headers=HTML | {"cookie": cookies})


async def sign_up(app: RunningApp, **more: str) -> httpx.Response:
    """A person or a shop, by the form; the client keeps the cookie."""
    names = {"business_name": "Chai Point", "timezone": "Asia/Kolkata"}
    if "user_app" in app.app.title:
        names = {"first_name": "Asha", "last_name": "Rao"}
    fields = {"email": fresh_email(), "password": PASSWORD, "pin": PIN, **names, **more}
    return await send_form(app, "/sign-up", **fields)
