"""Templates to answers. What a template prints is text, never markup, unless it is markup of our own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared import clock
from shared.calendar import INDIA
from shared.pages import formatting, static_files
from shared.pages.site import PageState

SHARED_TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment_of(templates: Path) -> Environment:
    """The app's own templates, with the shared ones behind them. Escapes everything; an unknown name is an error.

    All are read at once, and the locale with them: what cannot be read stops the start, and the first visitor does
    not wait.
    """
    environment = Environment(
        loader=FileSystemLoader([templates, SHARED_TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for function in (
        formatting.rupees,
        formatting.short_rupees,
        formatting.input_rupees,
        formatting.amount_parts,
        formatting.number,
        formatting.when,
        formatting.on,
        formatting.at,
        formatting.day,
        formatting.iso,
        formatting.masked,
        formatting.initials,
    ):
        environment.filters[function.__name__] = function
    environment.globals["static"] = static_files.url
    environment.globals["INDIA"] = INDIA
    environment.globals["plural"] = formatting.plural
    for name in environment.list_templates(extensions=["html"]):
        environment.get_template(name)
    formatting.rupees(0)
    formatting.when(clock.now())
    return environment


def render(
    request: Request, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
) -> HTMLResponse:
    """A page. Besides `context` a template knows `shell`, `path` and `is_signed_in`."""
    state: PageState = request.app.state.pages
    content = state.environment.get_template(template).render(
        shell=state.shell,
        path=request.url.path,
        is_signed_in=getattr(request.state, "caller", None) is not None,
        **context,
    )
    return HTMLResponse(content, status_code=status, headers=dict(headers or {}))


def see_other(path: str) -> RedirectResponse:
    """303: the form is done with, and a reload of what follows repeats nothing."""
    return RedirectResponse(path, status_code=303)
