"""The code on the counter: what it says, how it is drawn, and how it is kept."""

from __future__ import annotations

import struct
from xml.etree import ElementTree

import pytest

from shared.payment_codes import payment_uri
from tests.support.apps import RunningApp, Signed, problem


@pytest.mark.parametrize(("path", "media_type"), [("/qr.svg", "image/svg+xml"), ("/qr.png", "image/png")])
async def test_each_format_has_its_media_type(shop: Signed, path: str, media_type: str) -> None:
    answer = await shop.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == media_type


async def test_the_svg_is_a_drawing_and_holds_no_name(merchant_app: RunningApp) -> None:
    shop = await merchant_app.shop("<script>alert(1)</script>")
    drawing = ElementTree.fromstring((await shop.get("/qr.svg")).content)
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert {each.tag.rpartition("}")[2] for each in drawing.iter()} <= {"svg", "g", "path"}
    assert not any(each.text and each.text.strip() for each in drawing.iter())


async def test_the_png_is_square(shop: Signed) -> None:
    width, height = struct.unpack(">II", (await shop.get("/qr.png")).content[16:24])
    assert width == height > 300


async def test_another_amount_gives_another_image(shop: Signed) -> None:
    pictures = {(await shop.get("/qr.svg", **asked)).content for asked in ({}, {"amount": 20000}, {"amount": 20001})}
    assert len(pictures) == 3


async def test_a_cached_image_is_not_sent_again(shop: Signed) -> None:
    first = await shop.get("/qr.png")
    assert "private" in first.headers["cache-control"]
    headers = {"Authorization": f"Bearer {shop.token}", "If-None-Match": first.headers["etag"]}
    again = await shop.client.get("/api/v1/qr.png", headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    other = await shop.client.get("/api/v1/qr.png", headers=headers, params={"amount": 1})
    assert other.status_code == 200


async def test_only_the_shop_itself_gets_it_and_only_for_an_amount_that_may_move(
    merchant_app: RunningApp, shop: Signed
) -> None:
    problem(await merchant_app.client.get("/api/v1/qr.svg"), 401, "authentication_required")
    problem(await shop.get("/qr.svg", amount=0), 422, "invalid_request")


def test_the_uri_names_the_shop_in_a_form_that_cannot_add_parameters() -> None:
    uri = payment_uri(wallet_id="chai@batua", business_name="Chai & Samosa?am=1", amount=20005)
    assert uri == "upi://pay?pa=chai@batua&pn=Chai%20%26%20Samosa%3Fam%3D1&cu=INR&am=200.05"
    assert payment_uri(wallet_id="a@batua", business_name="A") == "upi://pay?pa=a@batua&pn=A&cu=INR"
