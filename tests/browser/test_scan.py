"""A shop's poster is printed, photographed and paid: with a photo, without a script, and through the camera."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import Browser, FilePayload, Page, expect

from infra.demo.actors import PIN, Holder
from infra.screenshots.chromium import find_chromium
from tests.support.browser.steps import shows_heading
from tests.support.browser.visits import PHONE, Visits

TABLE = (121, 98, 80)


def print_poster(visits: Visits, shop: Holder, rupees: str) -> Image.Image:
    """The page with the code as a printer gets it."""
    page = visits.open("merchant_app", by=shop)
    page.goto("/qr")
    page.get_by_label("Ask for").fill(rupees)
    page.get_by_role("button", name="Make the code").click()
    code = page.get_by_role("img", name=f"₹{rupees}")
    expect(code).to_be_visible()
    expect(code).to_have_js_property("complete", True)
    page.emulate_media(media="print")
    return Image.open(BytesIO(page.screenshot(full_page=True))).convert("RGB")


def photograph(poster: Image.Image) -> bytes:
    """It lies askew on a table, in poor light, and the hand is not steady."""
    poster = poster.resize((poster.width * 2, poster.height * 2))
    table = Image.new("RGB", (poster.width + 1200, poster.height + 1200), TABLE)
    turned = poster.rotate(-13, expand=True, fillcolor=TABLE, resample=Image.Resampling.BICUBIC)
    table.paste(turned, (180, 160))
    taken = BytesIO()
    table.filter(ImageFilter.GaussianBlur(4)).point(lambda level: int(level * 0.7)).save(taken, "JPEG", quality=60)
    return taken.getvalue()


def pay_as_asked(page: Page, shop: Holder) -> None:
    shows_heading(page, "Pay Chai Point")
    expect(page.get_by_label("Amount")).to_have_value("120")
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Pay now").click()
    shows_heading(page, "Paid")
    assert shop.balance()["balance"] == 120_00


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_the_printed_poster_is_photographed_and_paid(
    visits: Visits, shop: Holder, asha: Holder, javascript: bool
) -> None:
    photo = photograph(print_poster(visits, shop, "120"))
    page = visits.open(by=asha, screen=PHONE, javascript=javascript)
    page.goto("/send")
    page.get_by_role("link", name="Scan a code").click()
    shows_heading(page, "Pay by code or link")
    page.get_by_label("A photo of the code").set_input_files(
        FilePayload(name="photo.jpg", mimeType="image/jpeg", buffer=photo)
    )
    page.get_by_role("button", name="Read the photo").click()
    pay_as_asked(page, shop)


def test_the_poster_is_held_before_the_camera_and_paid(
    chromium: Browser, visits: Visits, shop: Holder, asha: Holder, tmp_path: Path
) -> None:
    frame = Image.open(BytesIO(photograph(print_poster(visits, shop, "120")))).resize((960, 720))
    film = BytesIO()
    frame.save(film, "JPEG", quality=80)
    (tmp_path / "film.mjpeg").write_bytes(film.getvalue() * 30)
    camera = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with chromium.browser_type.launch(
        executable_path=find_chromium(),
        args=[*camera, f"--use-file-for-fake-video-capture={tmp_path / 'film.mjpeg'}"],
    ) as filming:
        sees = visits.in_another(filming)
        page = sees.open(by=asha, screen=PHONE)
        page.goto("/scan")
        page.get_by_role("button", name="Use the camera").click()
        pay_as_asked(page, shop)
        assert sees.problems() == []
        sees.close()
