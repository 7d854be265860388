"""Pages: plain HTML, one stylesheet, no script at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from shared.money import Money

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")

_templates = Jinja2Templates(directory=Path(__file__).parent.parent / "templates")
_templates.env.filters["rupees"] = lambda paise: str(Money(paise))


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    leads_to: str | None = None,
    **facts: Any,
) -> HTMLResponse:
    """Render a page. `leads_to` is the address its form may end at: browsers apply `form-action` to the
    redirect after a form too."""
    may_go_to = " ".join(("'self'", *([origin] if leads_to and (origin := _origin(leads_to)) else [])))
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none';"
        f" form-action {may_go_to}"
    )
    return _templates.TemplateResponse(
        request,
        template,
        facts,
        status_code=status,
        headers={"content-security-policy": policy, **(headers or {})},
    )


async def read_form(request: Request) -> dict[str, str]:
    """The form's text fields; files and what cannot be read count as not given."""
    try:
        form: FormData = await request.form(max_files=0, max_fields=50)
    except HTTPException:
        return {}
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _origin(url: str) -> str | None:
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    return origin if _ORIGIN.fullmatch(origin) else None
