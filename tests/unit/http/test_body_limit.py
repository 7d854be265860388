"""The time of a body begins with its request, not with the first look at it."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message

from shared.http.body_limit import BodyLimit, UnreadBody
from shared.http.errors import BodyTooSlow

HEADERS = {b"content-length": b"2"}


async def test_a_request_that_began_long_ago_has_no_time_left_for_its_body() -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    limit = BodyLimit(limit_bytes=10, larger={}, within_seconds=60)
    bounded = limit.bounded("/", HEADERS, receive, asyncio.get_running_loop().time() - 61)
    with pytest.raises(UnreadBody) as caught:
        await bounded()
    assert isinstance(caught.value.error, BodyTooSlow)


async def test_a_body_that_has_arrived_is_read_whenever_its_request_began() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    limit = BodyLimit(limit_bytes=10, larger={}, within_seconds=60)
    bounded = limit.bounded("/", HEADERS, receive, asyncio.get_running_loop().time() - 61)
    assert (await bounded())["body"] == b"{}"
