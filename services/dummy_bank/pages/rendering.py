"""Pages: plain HTML and one stylesheet; only the console has a script, and does without."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from shared.calendar import INDIA
from shared.money import Money

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")

_templates = Jinja2Templates(directory=Path(__file__).parent.parent / "templates")
_templates.env.filters["rupees"] = lambda paise: str(Money(paise))


def _ist(stored: str) -> str:
    """A stored time as people in India read it: `20 Nov 2026, 19:32:05`."""
    return f"{datetime.fromisoformat(stored).astimezone(INDIA):%d %b %Y, %H:%M:%S}".lstrip("0")


def _clock_time(stored: str) -> str:
    """Its time of day alone: `7:32 pm`."""
    return f"{datetime.fromisoformat(stored).astimezone(INDIA):%I:%M %p}".lstrip("0").lower()


def _host(url: str) -> str:
    """Whose address it is, to show to a person; never to follow."""
    return urlsplit(url).netloc.rpartition("@")[2]


for _name, _filter in (("ist", _ist), ("clock_time", _clock_time), ("host", _host)):
    _templates.env.filters[_name] = _filter


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    leads_to: str | None = None,
    has_script: bool = False,
    **facts: Any,
) -> HTMLResponse:
    """Render a page. `leads_to` is the address its form may end at: browsers apply `form-action` to the
    redirect after a form too."""
    may_go_to = " ".join(("'self'", *([origin] if leads_to and (origin := _origin(leads_to)) else [])))
    scripts = " script-src 'self';" if has_script else ""
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none';"
        f"{scripts} form-action {may_go_to}"
    )
    return _templates.TemplateResponse(
        request,
        template,
        {**facts, "has_script": has_script},
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
