"""The dashboard: what came in, and what is coming in now."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from shared.web.dependencies import Caller
from shared.web.pages.rendering import render

router = APIRouter()


@router.get("/")
async def show_dashboard(request: Request, caller: Caller) -> Response:
    """The page after sign-in."""
    return render(request, "dashboard.html")
