"""Read QR codes in photos. A photo is decoded in memory by a thread of its own, and is stored nowhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import ClassVar
from uuid import UUID

import zxingcpp
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from shared.errors import Invalid, TooMany, Unavailable

MAX_PHOTO_BYTES = 12 * 1024 * 1024
MAX_PHOTO_PIXELS = 50_000_000
MAX_WHOLE_PIXELS = 16_000_000
"""Of a photo that is not JPEG: only JPEG can be decoded at a part of its size."""
MAX_SCANS = 64
"""Of one JPEG. A progressive one has some ten. Each goes through all of the photo, and may be of 80 bytes: a file of
12 MiB could take a core for a quarter of an hour.
"""
MAX_WAITING_PHOTOS = 8
PHOTOS_PER_MINUTE = 90
"""Of one owner in one process: a camera sends one frame a second."""

_FORMATS = ("JPEG", "PNG", "WEBP")
_CODES = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
# Where a JPEG's next segment begins. Within the data of a scan, 0xff stands before a zero or a restart marker.
_JPEG_SEGMENT = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
_JPEG_END, _JPEG_SCAN = b"\xd9", b"\xda"
_SIDE_PIXELS = 1600
"""Larger photos are made as small: a code that fills a tenth of the photo can still be read."""


@dataclass(eq=False)
class UnreadablePhoto(Invalid):
    """The photo leads to no payment; `reason` says why, and what to do."""

    code: ClassVar[str] = "photo_unreadable"
    title: ClassVar[str] = "The photo leads to no payment"
    reason: str = "Batua cannot open this file. Choose a JPEG, PNG or WebP photo of at most 50 megapixels."

    @property
    def detail(self) -> str:
        """The reason."""
        return self.reason


class TooManyPhotos(TooMany):
    """The owner sent more than PHOTOS_PER_MINUTE."""

    code: ClassVar[str] = "too_many_photos"
    title: ClassVar[str] = "Too many photos. Wait a moment, then photograph the code again, or paste its link."

    @property
    def retry_after_seconds(self) -> int:
        """The minute ends within that time."""
        return 60


class ReaderBusy(Unavailable):
    """MAX_WAITING_PHOTOS photos wait already."""

    code: ClassVar[str] = "photo_reader_busy"
    title: ClassVar[str] = "Many codes are being read just now. Try again in a second."

    @property
    def retry_after_seconds(self) -> int:
        """A photo takes a fraction of a second."""
        return 1


class CodeReader:
    """Reads one photo at a time, so that photos take one core at most from those who pay. Close at the end."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="codes")
        self._waiting = 0
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerMinute(PHOTOS_PER_MINUTE)

    async def read(self, photo: bytes, *, owner_id: UUID) -> Sequence[str]:
        """The different texts of the QR codes in the photo. Raises UnreadablePhoto, TooManyPhotos, ReaderBusy."""
        if not self._limiter.hit(self._limit, str(owner_id)):
            raise TooManyPhotos
        if self._waiting >= MAX_WAITING_PHOTOS:
            raise ReaderBusy
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, codes_in, photo)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def codes_in(photo: bytes) -> Sequence[str]:
    """The different texts of the QR codes in the photo, in any order. Raises UnreadablePhoto."""
    found = zxingcpp.read_barcodes(_open(photo), formats=_CODES)
    return list(dict.fromkeys(code.text for code in found if code.text))


def _open(photo: bytes) -> Image.Image:
    try:
        image: Image.Image = Image.open(BytesIO(photo), formats=_FORMATS)
        # A JPEG that holds further pictures, as some phones take them, is of a format and a class of its own.
        most = MAX_PHOTO_PIXELS if isinstance(image, JpegImageFile) else MAX_WHOLE_PIXELS
        if image.width * image.height > most:
            raise UnreadablePhoto
        if isinstance(image, JpegImageFile):
            if sum(kind == _JPEG_SCAN for kind in _segments_of(photo)) > MAX_SCANS:
                raise UnreadablePhoto
            image.draft("L", (_SIDE_PIXELS, _SIDE_PIXELS))
        image = image.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UnreadablePhoto from None
    image.thumbnail((_SIDE_PIXELS, _SIDE_PIXELS))
    return image


def _segments_of(jpeg: bytes) -> Iterator[bytes]:
    """The kinds of a JPEG's segments, without what follows its end, such as a video."""
    place = 2
    while (found := _JPEG_SEGMENT.search(jpeg, place)) is not None and found[1] != _JPEG_END:
        yield found[1]
        place = found.end() + int.from_bytes(jpeg[found.end() : found.end() + 2], "big")
