"""Codes in photos: turned, blurred, small, and files that are no photos."""

from __future__ import annotations

import asyncio
import random
from io import BytesIO
from uuid import uuid4

import pytest
import segno
from PIL import Image, ImageFilter
from PIL.MpoImagePlugin import MpoImageFile

from services.user_app import photographed_codes
from services.user_app.photographed_codes import (
    MAX_SCANS,
    MAX_WHOLE_PIXELS,
    PHOTOS_PER_MINUTE,
    CodeReader,
    ReaderBusy,
    TooManyPhotos,
    UnreadablePhoto,
    codes_in,
)

TEXT = "upi://pay?pa=chai@batua&pn=Chai&cu=INR&am=120.00"


def code(text: str = TEXT, scale: int = 10) -> Image.Image:
    drawn = BytesIO()
    segno.make_qr(text, error="m").save(drawn, kind="png", scale=scale, border=4)
    return Image.open(drawn).convert("RGB")


def photo_of(image: Image.Image, kind: str = "JPEG") -> bytes:
    taken = BytesIO()
    image.save(taken, kind, quality=70)
    return taken.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_straight_code_is_read(kind: str) -> None:
    assert codes_in(photo_of(code(), kind)) == [TEXT]


@pytest.mark.parametrize("degrees", [7, 33, 90, 180, 271])
def test_a_code_that_is_turned_blurred_and_in_the_shade_is_read(degrees: int) -> None:
    table = Image.new("RGB", (2400, 3200), (150, 130, 110))
    turned = code().rotate(degrees, expand=True, fillcolor=(150, 130, 110))
    table.paste(turned, (700, 900))
    table = table.filter(ImageFilter.GaussianBlur(3)).point(lambda level: int(level * 0.6))
    assert codes_in(photo_of(table)) == [TEXT]


def test_two_different_codes_are_both_found_and_equal_ones_once() -> None:
    table = Image.new("RGB", (1600, 800), "white")
    for left, text in ((0, "one"), (500, "two"), (1000, "one")):
        table.paste(code(text), (left, 100))
    assert sorted(codes_in(photo_of(table))) == ["one", "two"]


def test_a_photo_without_a_code_has_none() -> None:
    assert codes_in(photo_of(Image.new("RGB", (800, 600), "grey"))) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        b"<svg/>",
        photo_of(code())[:600],
        photo_of(code(), "PNG")[:600],
        photo_of(code(), "GIF"),
        random.Random(7).randbytes(5000),
    ],
    ids=["empty", "start of a gif", "svg", "half a jpeg", "half a png", "gif", "noise"],
)
def test_what_is_no_photo_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadablePhoto):
        codes_in(content)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    side = int(MAX_WHOLE_PIXELS**0.5) + 1
    bomb = photo_of(Image.new("1", (side, side)), "PNG")
    assert len(bomb) < 10_000
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UnreadablePhoto):
        codes_in(bomb)


def progressive(side: int, scans: int) -> bytes:
    """A grey JPEG of so many scans, as small as they can be: "all blocks are as before"."""

    def segment(kind: int, *content: int) -> bytes:
        return bytes([0xFF, kind]) + (len(content) + 2).to_bytes(2, "big") + bytes(content)

    def packed(bits: str) -> bytes:
        return int(bits + "1" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8), "big").replace(b"\xff", b"\xff\x00")

    blocks = (side // 8) ** 2
    size = side.to_bytes(2, "big")
    return b"".join(
        (
            b"\xff\xd8" + segment(0xDB, 0, *[1] * 64) + segment(0xC2, 8, *size, *size, 1, 1, 0x11, 0),
            segment(0xC4, 0x00, 1, *[0] * 15, 0x00) + segment(0xC4, 0x10, 1, *[0] * 15, 0xE0),
            segment(0xDA, 1, 1, 0, 0, 0, 0) + packed("0" * blocks),
            (segment(0xDA, 1, 1, 0, 1, 63, 0) + packed(("0" + "1" * 14) * -(-blocks // 32767))) * (scans - 1),
            b"\xff\xd9",
        )
    )


def test_a_jpeg_that_goes_through_all_pixels_again_and_again_is_refused() -> None:
    assert codes_in(progressive(side=800, scans=MAX_SCANS)) == []
    with pytest.raises(UnreadablePhoto):
        codes_in(progressive(side=800, scans=MAX_SCANS + 1))


def test_what_a_phone_adds_to_a_jpeg_is_no_scan() -> None:
    taken, thumbnail = BytesIO(), progressive(side=8, scans=MAX_SCANS + 1)[:60_000]
    code().save(taken, "JPEG", progressive=True, comment=thumbnail)
    video = b"\xff\xda" * 1000
    assert codes_in(taken.getvalue() + video) == [TEXT]


def test_a_jpeg_with_further_pictures_may_be_as_large_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographed_codes, "MAX_WHOLE_PIXELS", 100)
    taken = BytesIO()
    code().save(taken, "MPO", save_all=True, append_images=[code("depth")])
    assert isinstance(Image.open(taken), MpoImageFile)
    assert codes_in(taken.getvalue()) == [TEXT]


async def test_one_owner_cannot_keep_the_reader_busy() -> None:
    reader, owner, photo = CodeReader(), uuid4(), photo_of(code())
    try:
        for _ in range(PHOTOS_PER_MINUTE):
            reader._limiter.hit(reader._limit, str(owner))
        with pytest.raises(TooManyPhotos):
            await reader.read(photo, owner_id=owner)
        assert await reader.read(photo, owner_id=uuid4()) == [TEXT]
    finally:
        reader.close()


async def test_photos_beyond_those_that_may_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographed_codes, "MAX_WAITING_PHOTOS", 2)
    reader, photo = CodeReader(), photo_of(code())
    try:
        reading = [asyncio.create_task(reader.read(photo, owner_id=uuid4())) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ReaderBusy):
            await reader.read(photo, owner_id=uuid4())
        assert await asyncio.gather(*reading) == [[TEXT], [TEXT]]
    finally:
        reader.close()
