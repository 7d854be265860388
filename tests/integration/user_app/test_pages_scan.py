"""The page that reads codes and links: where it leads, and what it says when it leads nowhere."""

from __future__ import annotations

import re
from io import BytesIO

import httpx
import pytest
import segno

from services.user_app.photographed_codes import MAX_PHOTO_BYTES
from shared.pages.paths import SIGN_IN
from tests.support.apps import PASSWORD, RunningApp, Signed
from tests.support.browsing import Browser

HEADERS = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def browser(asha: Signed) -> Browser:
    """Asha's."""
    return Browser(asha)


def code(text: str) -> bytes:
    drawn = BytesIO()
    segno.make_qr(text).save(drawn, kind="png", scale=8)
    return drawn.getvalue()


async def post(signed: Signed, path: str = "/scan", **sent: object) -> httpx.Response:
    headers = HEADERS | {"Cookie": f"session={signed.token}"}
    return await signed.client.post(path, headers=headers, **sent)  # type: ignore[arg-type]  # what httpx takes


async def photographed(signed: Signed, photo: bytes) -> httpx.Response:
    return await post(signed, files={"photo": ("code.png", photo, "image/png")})


async def test_a_photo_of_a_code_leads_to_the_page_that_pays(asha: Signed, ravi: Signed) -> None:
    asked = code(f"upi://pay?pa={ravi.wallet_id}&pn=Ravi&cu=INR&am=120.50")
    answer = await photographed(asha, asked)
    assert answer.status_code == httpx.codes.SEE_OTHER
    page = await Browser(asha).follow(answer)
    assert page.path == f"/pay/{ravi.wallet_id}"
    assert page.form("/send").fields["amount"] in {"120.5", "120.50"}


async def test_a_link_leads_there_too_and_so_does_one_that_another_app_shares(asha: Signed, ravi: Signed) -> None:
    answer = await post(asha, files={"link": (None, f" UPI://pay?pa={ravi.wallet_id} ")})
    assert answer.headers["location"] == f"/pay/{ravi.wallet_id}"
    link = f"http://{asha.client.base_url.netloc.decode()}/pay/{ravi.wallet_id}"
    headers = HEADERS | {"Cookie": f"session={asha.token}"}
    answer = await asha.client.get("/scan", params={"text": link}, headers=headers)
    assert answer.headers["location"] == f"/pay/{ravi.wallet_id}"


@pytest.mark.parametrize(
    ("photo", "words"),
    [
        (code("https://example.com"), "another site"),
        (code("upi://pay?pa=shop@okhdfc"), "another service"),
        (b"GIF89a", "Batua cannot open this file"),
        (b"\x89PNG\r\n\x1a\n", "Batua cannot open this file"),
    ],
    ids=["address", "another service", "gif", "broken"],
)
async def test_a_photo_that_leads_nowhere_says_why_at_its_field(asha: Signed, photo: bytes, words: str) -> None:
    page = await Browser(asha).follow(await photographed(asha, photo))
    assert page.path == "/scan"
    assert words in page.text
    assert 'id="photo-error"' in page.answer.text


async def test_a_link_that_leads_nowhere_is_kept_and_says_why(asha: Signed) -> None:
    page = await Browser(asha).follow(await post(asha, files={"link": (None, "upi://pay?pa=shop@okhdfc")}))
    assert "another service" in page.text
    assert "upi://pay?pa=shop@okhdfc" in page.answer.text


async def test_frames_of_the_camera_are_answered_for_a_script(asha: Signed, ravi: Signed) -> None:
    async def frame(content: bytes) -> dict[str, str]:
        answer = await post(asha, "/scan/frames", content=content)
        assert answer.status_code == httpx.codes.OK
        found: dict[str, str] = answer.json()
        return found

    assert await frame(code(f"upi://pay?pa={ravi.wallet_id}")) == {"path": f"/pay/{ravi.wallet_id}"}
    assert "another site" in (await frame(code("https://example.com")))["message"]
    headers = {"Cookie": f"session={asha.token}", "Sec-Fetch-Site": "same-origin"}
    refused = await asha.client.post("/scan/frames", content=b"no picture", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "photo_unreadable")


async def test_only_the_signed_in_may_ask_and_only_from_our_own_pages(user_app: RunningApp, asha: Signed) -> None:
    stranger = await user_app.client.post("/scan", headers=HEADERS)
    assert stranger.headers["location"].startswith(SIGN_IN)
    headers = HEADERS | {"Cookie": f"session={asha.token}", "Sec-Fetch-Site": "cross-site"}
    for path in ("/scan", "/scan/frames"):
        assert (await asha.client.post(path, headers=headers)).status_code == httpx.codes.FORBIDDEN


async def test_the_page_may_use_the_camera_and_no_other_page_may(browser: Browser) -> None:
    assert "camera=(self)" in (await browser.open("/scan")).answer.headers["permissions-policy"]
    assert "camera=()" in (await browser.open("/send")).answer.headers["permissions-policy"]


async def test_a_form_that_is_no_form_or_is_too_large_is_refused(asha: Signed) -> None:
    assert (await post(asha, data={"link": "upi://pay"})).status_code == httpx.codes.BAD_REQUEST
    assert (await post(asha, content=b"x")).status_code == httpx.codes.BAD_REQUEST
    too_large = await photographed(asha, bytes(MAX_PHOTO_BYTES + 100_000))
    assert too_large.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE


async def test_a_pasted_link_is_back_after_signing_in_when_the_session_had_ended(
    browser: Browser, asha: Signed
) -> None:
    await asha.post("/auth/logout", key=None)
    answer = await browser._send("POST", "/scan", files={"link": (None, "chai@batua")})
    sign_in = (await browser.follow(answer)).form(SIGN_IN)
    page = await browser.submit(sign_in, email=asha.profile["email"], password=PASSWORD)
    assert page.path == "/scan"
    assert "nothing was sent yet" in page.text
    assert page.answer.text.count('value="chai@batua"') == 1
    stranger = Browser(Signed(asha.client, {}, ""))
    answer = await stranger._send("POST", "/scan", files={"link": (None, "chai@batua")})
    assert answer.headers["location"] == SIGN_IN


async def test_a_phone_on_which_people_install_the_wallet_shares_links_with_it(
    browser: Browser, asha: Signed, shop: Signed
) -> None:
    [address] = re.findall(r'rel="manifest" href="([^"]+)"', (await browser.open("/")).answer.text)
    answer = await asha.client.get(address)
    assert answer.headers["content-type"] == "application/manifest+json"
    target = answer.json()["share_target"]
    page = await browser.open(f"{target['action']}?{target['params']['text']}=upi://pay?pa={shop.wallet_id}%26am=20")
    assert page.path == f"/pay/{shop.wallet_id}"
    assert page.form("/send").fields["amount"] == "20"
    assert "manifest" not in (await Browser(shop).open("/")).answer.text
