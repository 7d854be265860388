"""Signing up, in and out on pages."""

from __future__ import annotations

import pytest

from tests.support.apps import PASSWORD, PIN, RunningApp
from tests.support.page_requests import HTML, OWN_FORM, follow, fresh_email, open_page, send_form, sign_up


@pytest.fixture(params=["user_app", "merchant_app"])
def app(request: pytest.FixtureRequest) -> RunningApp:
    running: RunningApp = request.getfixturevalue(request.param)
    return running


async def test_signing_up_leads_home_with_a_cookie_that_scripts_cannot_read(app: RunningApp) -> None:
    answer = await sign_up(app)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=lax" in answer.headers["set-cookie"]
    home = await open_page(app, "/")
    assert home.status_code == 200
    assert 'aria-label="Main"' in home.text


async def test_a_taken_email_is_shown_at_its_field_and_the_form_is_kept(app: RunningApp) -> None:
    email = fresh_email()
    await sign_up(app, email=email)
    app.client.cookies.clear()
    answer = await follow(app, await sign_up(app, email=email))
    assert answer.status_code == 200
    assert 'id="email-error"' in answer.text
    assert "already registered" in answer.text
    assert f'value="{email}"' in answer.text


async def test_a_form_keeps_what_was_typed_except_secrets(user_app: RunningApp) -> None:
    refused = await send_form(
        user_app, "/sign-up", first_name="Asha", last_name="", email="no address", password="short", pin="12ab!"
    )
    assert "session=" not in refused.headers["set-cookie"]
    answer = await follow(user_app, refused)
    assert 'value="Asha"' in answer.text
    assert 'value="no address"' in answer.text
    assert "12ab!" not in answer.text
    assert 'value="short"' not in answer.text
    for field in ("last_name", "email", "password", "pin"):
        assert f'id="{field}-error"' in answer.text, field
    assert 'id="first_name-error"' not in answer.text


async def test_signing_in_leads_to_the_page_asked_for(app: RunningApp) -> None:
    email = fresh_email()
    await sign_up(app, email=email)
    app.client.cookies.clear()
    away = await open_page(app, "/?from=there")
    assert away.status_code == 303
    assert away.headers["location"] == "/sign-in?next=/%3Ffrom%3Dthere"
    form = await open_page(app, away.headers["location"])
    assert 'name="next" value="/?from=there"' in form.text
    answer = await send_form(app, "/sign-in", email=email, password=PASSWORD, next="/?from=there")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/?from=there"
    again = await open_page(app, "/sign-in")
    assert again.status_code == 303, "a signed-in owner needs no form"


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/%0d%0aset-cookie:x=1\r\n",
        "evil",
        "",
        "/sign-out",
        "/" + "a" * 2000,
    ],
)
async def test_signing_in_never_leads_to_another_site(user_app: RunningApp, wanted: str) -> None:
    answer = await sign_up(user_app, next=wanted)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


async def test_a_wrong_password_says_the_same_as_an_unknown_email(app: RunningApp) -> None:
    email = fresh_email()
    await sign_up(app, email=email)
    app.client.cookies.clear()
    wrong = await send_form(app, "/sign-in", email=email, password="not this one")
    unknown = await send_form(app, "/sign-in", email=fresh_email(), password="not this one")
    assert wrong.headers["location"] == unknown.headers["location"]
    for refused in (wrong, unknown):
        answer = await follow(app, refused)
        assert "Email and password do not match" in answer.text
        assert "not this one" not in answer.text


async def test_signing_out_ends_the_session_and_no_page_is_cached(app: RunningApp) -> None:
    await sign_up(app)
    cookie = app.client.cookies["session"]
    home = await open_page(app, "/")
    assert home.headers["cache-control"] == "no-store"
    answer = await send_form(app, "/sign-out")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?signed-out=1"
    assert "session" not in app.client.cookies
    app.client.cookies.set("session", cookie)
    back = await open_page(app, "/")
    assert back.status_code == 303, "the old cookie counts no more"
    twice = await send_form(app, "/sign-out")
    assert twice.status_code == 303, "signing out twice is no error"


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up", "/sign-out"])
async def test_a_form_of_another_site_is_rejected(user_app: RunningApp, path: str) -> None:
    fields = {"email": fresh_email(), "password": PASSWORD, "pin": PIN, "first_name": "A", "last_name": "B"}
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {}):
        answer = await user_app.client.post(path, data=fields, headers=HTML | headers)
        assert answer.status_code == 403, headers
        assert "set-cookie" not in answer.headers


async def test_markup_in_a_name_is_shown_as_text(merchant_app: RunningApp) -> None:
    name = "<script>alert('x')</script>\" onfocus=alert(1) x=\""
    answer = await follow(merchant_app, await send_form(merchant_app, "/sign-up", business_name=name, email="nope"))
    assert "<script>alert" not in answer.text
    assert '" onfocus' not in answer.text
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&#34; onfocus=alert(1)" in answer.text


async def test_a_form_with_files_or_too_many_fields_is_rejected(user_app: RunningApp) -> None:
    files = await user_app.client.post("/sign-in", files={"email": b"x"}, headers=OWN_FORM)
    assert files.status_code == 400
    many = await user_app.client.post("/sign-in", data={f"f{n}": "1" for n in range(60)}, headers=OWN_FORM)
    assert many.status_code == 400
    large = await user_app.client.post("/sign-in", data={"email": "x" * 100_000}, headers=OWN_FORM)
    assert large.status_code == 413
    assert "The request is too large" in large.text
