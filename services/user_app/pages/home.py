"""Home: what one has, and what one can do with it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from shared.web.dependencies import Caller
from shared.web.pages.rendering import render

router = APIRouter()


@router.get("/")
async def show_home(request: Request, caller: Caller) -> Response:
    """The page after sign-in."""
    return render(request, "home.html")
