"""A browser: reads pages, fills in the forms they find there, keeps the cookie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.support.apps import Signed

_ORIGIN = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
ACCOUNT = {
    "bank": "hdfc",
    "account_number": "123456781234",
    "account_number_again": "123456781234",
    "ifsc": "HDFC0000001",
    "account_holder": "Asha Rao",
}
"""The account that a person types into the form of a withdrawal."""


@dataclass
class PageForm:
    """One form of a page, with what its fields hold."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    unscripted: dict[str, str] = field(default_factory=dict)
    """The fields that a script takes out of the form when the page opens."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.text: list[str] = []
        self.tags: list[str] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag == "form":
            self.forms.append(PageForm(given.get("method", "get"), given["action"]))
        elif "data-said" in given:
            self.forms[-1].unscripted[given["name"]] = given["value"]
        elif tag == "input" and "name" in given and given.get("type") not in {"radio", "checkbox"}:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        elif tag == "select":
            self._select = given["name"]
        elif tag == "option" and (self._select not in self.forms[-1].fields or "selected" in given):
            self.forms[-1].fields[self._select] = given["value"]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@dataclass
class Page:
    """What a browser has before it."""

    answer: httpx.Response

    def __post_init__(self) -> None:
        self._reader = _Reader()
        self._reader.feed(self.answer.text)

    @property
    def status(self) -> int:
        """Of the answer."""
        return self.answer.status_code

    @property
    def path(self) -> str:
        """Where one is."""
        return self.answer.url.path

    @property
    def text(self) -> str:
        """The words on it."""
        return " ".join(" ".join(self._reader.text).split()).replace("₹ ", "₹")

    @property
    def tags(self) -> list[str]:
        """Every element that begins on it, in order."""
        return self._reader.tags

    def form(self, action: str) -> PageForm:
        """The form that is sent there."""
        return next(each for each in self._reader.forms if each.action == action)


class Browser:
    """Follows redirects like one, and runs no script."""

    def __init__(self, signed: Signed) -> None:
        self._client = signed.client
        self.cookies = {"session": signed.token}

    async def open(self, path: str, **cookies: str) -> Page:
        """Go there, with more cookies than its own."""
        answer = await self._send("GET", path, cookies)
        while answer.has_redirect_location:
            answer = await self._send("GET", answer.headers["location"], cookies)
        return Page(answer)

    async def request(self, method: str, path: str) -> Page:
        """Ask for it by any method, and follow nothing."""
        return Page(await self._send(method, path))

    async def submit(self, form: PageForm, **typed: str) -> Page:
        """Fill in the form and press its button."""
        if form.method == "get":
            return await self.open(f"{form.action}?{urlencode(form.fields | typed)}")
        return await self.follow(await self.post(form, **typed))

    async def post(self, form: PageForm, **typed: str) -> httpx.Response:
        """The same, up to the first answer."""
        fields = form.fields | typed
        return await self._send("POST", form.action, data=fields)

    async def follow(self, answer: httpx.Response) -> Page:
        """Where the answer leads."""
        if answer.status_code != httpx.codes.SEE_OTHER:
            return Page(answer)
        return await self.open(answer.headers["location"])

    async def _send(
        self, method: str, path: str, cookies: Mapping[str, str] = MappingProxyType({}), **sent: Any
    ) -> httpx.Response:
        given = "; ".join(f"{name}={value}" for name, value in {**self.cookies, **cookies}.items())
        answer = await self._client.request(method, path, headers=_ORIGIN | {"Cookie": given}, **sent)
        for text in answer.headers.get_list("set-cookie"):
            for name, cookie in SimpleCookie(text).items():
                if cookie["path"] == "/":  # one of a single page is for that page
                    self.cookies[name] = cookie.value
                if cookie["max-age"] == "0":
                    del self.cookies[name]
        return answer
