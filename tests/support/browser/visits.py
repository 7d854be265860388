"""Browsers in the hands of people and shops, and an ear for everything those browsers complain about."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Response,
    ViewportSize,
    WebError,
    expect,
)

from infra.demo.actors import Holder
from infra.local.stack import Stack
from tests.support.deadlines import deadline, patience

Screen = ViewportSize
PHONE = Screen(width=390, height=844)
DESKTOP = Screen(width=1280, height=800)

App = Literal["user_app", "merchant_app", "dummy_bank"]
APPS: tuple[App, ...] = ("user_app", "merchant_app", "dummy_bank")

_GIVEN_UP = "net::ERR_ABORTED"
"""Leaving a page ends what it was still loading or listening to."""
_REFUSED_PAGE = "Failed to load resource: the server responded with a status of 4"


@dataclass
class Watch:
    """Everything one browser complains about, and every request that it should not have made."""

    origins: frozenset[str]
    problems: list[str] = field(default_factory=list)
    _refused_pages: set[str] = field(default_factory=set)

    def over(self, context: BrowserContext) -> None:
        """Listen to every page of this browser."""
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("requestfailed", self._failed)
        context.on("console", self._console)
        context.on("weberror", self._error)

    def _request(self, request: Request) -> None:
        origin = origin_of(request.url)
        if origin == "data:":
            return
        allowed = self.origins if request.is_navigation_request() else {origin_of(request.frame.url)}
        if origin not in allowed:
            self.problems.append(f"request elsewhere: {request.method} {request.url}")

    def _response(self, response: Response) -> None:
        is_page = response.request.is_navigation_request()
        if is_page and response.status in range(400, 500):
            self._refused_pages.add(response.url)
        elif response.status >= 400 and response.url not in self._refused_pages:  # a live page asks for itself again
            self.problems.append(f"answered {response.status}: {response.request.method} {response.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != _GIVEN_UP:
            self.problems.append(f"failed with {request.failure}: {request.method} {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        # The browser notes each page that refused a form; that is the page's answer, not a mistake.
        if message.text.startswith(_REFUSED_PAGE) and message.location["url"].partition("#")[0] in self._refused_pages:
            return
        if message.type in {"error", "warning"}:
            self.problems.append(f"console {message.type}: {message.text} ({message.location['url']})")

    def _error(self, error: WebError) -> None:
        self.problems.append(f"uncaught: {error.error}")


class Visits:
    """Each visitor has a browser profile of their own. Close at the end."""

    def __init__(self, chromium: Browser, stack: Stack) -> None:
        expect.set_options(timeout=patience() * 1000)  # of all pages: as long as the machine needs now
        self._chromium = chromium
        self._stack = stack
        self._contexts: list[BrowserContext] = []
        self._watches: list[Watch] = []

    def open(
        self,
        app: App = "user_app",
        *,
        by: Holder | None = None,
        screen: Screen = PHONE,
        javascript: bool = True,
    ) -> Page:
        """A blank page before an app, signed in as `by` if given; paths are relative to the app."""
        context = self._chromium.new_context(
            base_url=self._stack.url(app),
            viewport=screen,
            java_script_enabled=javascript,
            color_scheme="light",
            reduced_motion="reduce",
            locale="en-IN",
            timezone_id="Asia/Kolkata",
        )
        context.set_default_timeout(patience() * 1000)
        if by is not None:
            context.add_cookies([{"name": "session", "value": by.token, "url": self._stack.url(app)}])
        self._contexts.append(context)
        watch = Watch(frozenset(self._stack.url(each) for each in APPS))
        watch.over(context)
        self._watches.append(watch)
        return context.new_page()

    def in_another(self, chromium: Browser) -> Visits:
        """Visits to the same apps, in another browser."""
        return Visits(chromium, self._stack)

    def problems(self) -> list[str]:
        """What the browsers complained about so far."""
        return [problem for watch in self._watches for problem in watch.problems]

    def keep_for_inspection(self, directory: Path, name: str) -> list[str]:
        """Save a picture and the source of every open page; says where they are."""
        directory.mkdir(parents=True, exist_ok=True)
        kept = []
        pages = [page for context in self._contexts for page in context.pages]
        for number, page in enumerate(pages, start=1):
            file = directory / f"{name}-{number}"
            try:
                page.screenshot(path=f"{file}.png", full_page=True, timeout=deadline() * 1000)
                Path(f"{file}.html").write_text(page.content(), encoding="utf-8")
            except Error as error:
                kept.append(f"{page.url}: could not be kept: {error}")
            else:
                kept.append(f"{page.url}: {file}.png and {file}.html")
        return kept

    def close(self) -> None:
        """Close every browser profile."""
        for context in self._contexts:
            context.close()


def origin_of(address: str) -> str:
    """Scheme, host and port; `data:` for what carries itself."""
    parts = urlsplit(address)
    return "data:" if parts.scheme == "data" else f"{parts.scheme}://{parts.netloc}"
