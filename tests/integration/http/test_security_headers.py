"""What every answer tells a browser, and what a browser is told when something is refused."""

from __future__ import annotations

from html.parser import HTMLParser

import httpx
import pytest

from services.user_app.main import create_app
from shared.pages import static_files
from tests.support.apps import RunningApp, user_app_settings
from tests.support.page_requests import HTML, open_page, send_form, sign_up

EVERYWHERE = (
    "/sign-in",
    "/sign-up",
    "/nothing-here",
    "/healthz",
    "/api/v1/wallet",
    "/static/batua.css",
    "/openapi.json",
)
PAGE_BUDGET_BYTES = 60 * 1024


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_every_answer_carries_the_headers(user_app: RunningApp, path: str) -> None:
    answer = await open_page(user_app, path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "content-security-policy" in answer.headers
    assert "strict-transport-security" not in answer.headers, "only outside a developer's machine"
    kept = "no-cache" if path.startswith("/static") else "no-store"
    assert answer.headers["cache-control"] == kept


async def test_the_policy_allows_nothing_but_our_own_files_and_the_way_to_the_banks(user_app: RunningApp) -> None:
    answer = await open_page(user_app, "/sign-in")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "form-action": "'self' http://127.0.0.1:1",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "object-src": "'none'",
    }


async def test_a_shop_s_forms_end_nowhere_else(merchant_app: RunningApp) -> None:
    answer = await open_page(merchant_app, "/sign-in")
    assert "form-action 'self';" in answer.headers["content-security-policy"]


async def test_outside_a_developer_s_machine_only_tls_will_do(database_url: str, redis_url: str) -> None:
    local = user_app_settings(database_url, redis_url)
    app = create_app(local.model_copy(update={"env": "production"}))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://batua.example") as client:
        answer = await client.get("/healthz")
    assert answer.headers["strict-transport-security"].startswith("max-age=63072000")
    assert answer.headers["content-security-policy"].endswith("upgrade-insecure-requests")


async def test_a_browser_gets_a_page_and_a_program_gets_a_problem(user_app: RunningApp) -> None:
    await sign_up(user_app)
    page = await open_page(user_app, "/nothing-here")
    assert page.status_code == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "There is nothing at this address" in page.text
    program = await user_app.client.get("/nothing-here", headers={"accept": "application/json"})
    assert program.status_code == 404
    assert program.json()["code"] == "not_found"
    for path in ("/api/v1/nothing-here", "/api/v1/transfers/none"):
        api = await user_app.client.get(path, headers=HTML)
        assert api.headers["content-type"] == "application/problem+json", "the API has one language"


async def test_a_wrong_method_is_a_page_that_names_the_right_ones(user_app: RunningApp) -> None:
    answer = await open_page(user_app, "/sign-out")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert "cannot be opened that way" in answer.text


@pytest.mark.parametrize(("path", "status"), [("/sign-in", 200), ("/activity", 303), ("/nothing-here", 404)])
async def test_a_page_can_be_asked_about_without_being_read(user_app: RunningApp, path: str, status: int) -> None:
    asked, read = await user_app.client.head(path, headers=HTML), await open_page(user_app, path)
    assert asked.status_code == read.status_code == status
    for name in ("content-type", "location"):
        assert asked.headers.get(name) == read.headers.get(name)


async def test_a_defect_is_a_page_too(user_app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret that must not be shown")

    monkeypatch.setattr("shared.auth.commands.sign_in", broken)
    answer = await send_form(user_app, "/sign-in", email="a@example.com", password="whatever")
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "a secret that" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"


async def test_static_files_are_kept_for_as_long_as_they_are_the_same(user_app: RunningApp) -> None:
    address = static_files.url("batua.css")
    answer = await user_app.client.get(address)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    plain = await user_app.client.get(address, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content
    known = await user_app.client.get(address, headers={"if-none-match": answer.headers["etag"]})
    assert known.status_code == 304
    stale = await user_app.client.get("/static/batua.css?v=0000")
    assert stale.headers["cache-control"] == "no-cache"
    for name in ("nothing.css", "..%2fapplication.py", "%2e%2e"):
        assert (await user_app.client.get(f"/static/{name}")).status_code == 404


async def test_a_page_with_all_it_needs_fits_the_budget(user_app: RunningApp) -> None:
    await sign_up(user_app)
    for path in ("/", "/nothing-here"):
        page = await open_page(user_app, path)
        needed = _Needed()
        needed.feed(page.text)
        assert {address.partition("?")[0] for address in needed.addresses} == {
            "/static/batua.css",
            "/static/batua.js",
            "/static/icon.svg",
            "/static/wallet.webmanifest",
        }
        assert "content-encoding" not in page.headers, "a page with secrets is never compressed"
        sizes = [len((await user_app.client.get(address)).content) for address in needed.addresses]
        assert len(page.content) + sum(sizes) <= PAGE_BUDGET_BYTES


class _Needed(HTMLParser):
    """The files that a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        address = found.get("href") if tag == "link" else found.get("src") if tag in {"script", "img"} else None
        if address:
            self.addresses.append(address)
