"""`/docs` is served from the service's own origin, under a policy that allows no inline script."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi import FastAPI

from shared.api_reference.mount import PATH, mount_api_reference


@pytest.fixture
def client() -> httpx.AsyncClient:
    app = FastAPI(docs_url=None, redoc_url=None)
    mount_api_reference(app)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://batua.test")


async def test_the_page_and_every_file_it_names_are_there(client: httpx.AsyncClient) -> None:
    page = await client.get(PATH)
    assert page.status_code == httpx.codes.OK
    named = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)
    assert named
    for path in named:
        answer = await client.get(f"/{path}")
        assert answer.status_code == httpx.codes.OK, path
        assert len(answer.content) > 0


async def test_the_policy_forbids_inline_scripts_and_other_hosts(client: httpx.AsyncClient) -> None:
    page = await client.get(PATH)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=)|https?://", page.text)


async def test_the_reference_is_no_part_of_the_published_api(client: httpx.AsyncClient) -> None:
    assert "paths" in (await client.get("/openapi.json")).json()
    assert (await client.get("/openapi.json")).json()["paths"] == {}
