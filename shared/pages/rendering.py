"""Make pages of templates. A value that a template prints is text, never markup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from shared.auth import rules
from shared.auth.sessions import SignedIn
from shared.calendar import INDIA
from shared.pages import formatting, static_files
from shared.pages.amount_words import amount_in_words
from shared.pages.compiled import CompiledTemplates
from shared.pages.paths import EMAIL
from shared.pages.site import Shell
from shared.pages.typed_amounts import MAX_TYPED_AMOUNT, meant_amount, typed_in_words

SHARED_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Renderer:
    """`app.state.renderer`: the templates of an app, and the shell around its pages."""

    shell: Shell
    environment: Environment
    _navigations: dict[tuple[bool, ...], Markup] = field(default_factory=dict)

    def navigation(self, path: str) -> Markup:
        """The navigation as the page at `path` shows it. It is made once for each entry that may be the current one."""
        items = self.shell.nav
        current = tuple([item.is_current(path) for item in items])
        made = self._navigations.get(current)
        if made is None:
            text = self.environment.get_template("navigation.html").render(items=items, path=path)
            made = self._navigations[current] = Markup(text)  # noqa: S704 - a template's output
        return made


@cache
def environment_of(templates: Path) -> Environment:
    """The app's own templates and the shared ones. Values are escaped; an unknown name raises UndefinedError.

    All templates are read now: one that cannot be read stops the start, and the first request does not wait for them.
    """
    environment = Environment(
        loader=FileSystemLoader([templates, SHARED_TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=CompiledTemplates(),
    )
    for function in (
        formatting.rupees,
        formatting.short_rupees,
        formatting.input_rupees,
        formatting.amount_parts,
        formatting.number,
        formatting.when,
        formatting.lately,
        formatting.on,
        formatting.at,
        formatting.day,
        formatting.iso,
        formatting.in_fours,
        formatting.masked,
        formatting.initials,
        amount_in_words,
        typed_in_words,
        meant_amount,
    ):
        environment.filters[function.__name__] = function
    environment.globals["static"] = static_files.url
    environment.globals["INDIA"] = INDIA
    environment.globals["confirming"] = ""  # unless the page's caller has an address to confirm
    environment.globals["is_frozen"] = False
    environment.globals["plural"] = formatting.plural
    environment.globals["rules"] = rules
    environment.globals["MAX_TYPED_AMOUNT"] = MAX_TYPED_AMOUNT
    icons = _macros(environment, "icons.html")
    environment.globals["icon"] = cache(icons.icon)  # the same few, several times on each page
    environment.globals["mark"] = cache(icons.mark)
    environment.globals["ui"] = _macros(environment, "components.html")
    environment.globals["fields"] = _macros(environment, "fields.html")
    environment.globals["listed_lines"] = _macros(environment, "listed-lines.html")
    for name in environment.list_templates(extensions=["html"]):
        template = environment.get_template(name)
        template.globals = dict(template.globals)  # each page copies them, and Jinja's chain of maps copies slowly
    return environment


def _macros(environment: Environment, template: str) -> Any:
    """The macros of a template, for every page: an import in each costs as much as what it writes."""
    return environment.get_template(template).module


def render(
    request: Request, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
) -> HTMLResponse:
    """A page. A template knows `context`, `shell`, `path` and `is_signed_in`."""
    renderer: Renderer = request.app.state.renderer
    state, path = request.state, request.url.path
    is_signed_in = getattr(state, "caller", None) is not None or getattr(state, "keeps_navigation", False)
    content = renderer.environment.get_template(template).render(
        shell=renderer.shell,
        path=path,
        is_signed_in=is_signed_in,
        navigation=renderer.navigation(path) if is_signed_in else "",
        confirming=_confirming(request) if is_signed_in and path != EMAIL else "",
        is_frozen=is_signed_in and _is_frozen(request),
        **context,
    )
    return HTMLResponse(content, status_code=status, headers=dict(headers or {}))


def _is_frozen(request: Request) -> bool:
    """Whether an operator lets nothing leave the caller's accounts."""
    signed_in: SignedIn | None = getattr(request.state, "signed_in", None)
    return signed_in is not None and signed_in.wallet.is_frozen


def _confirming(request: Request) -> str:
    """Whether to ask for the confirmation of the email address: "", "ask", or "must" where no money leaves before."""
    signed_in: SignedIn | None = getattr(request.state, "signed_in", None)
    if signed_in is None or not signed_in.awaits_confirmation:
        return ""
    return "must" if request.app.state.resources.settings.requires_verified_email else "ask"


def see_other(path: str) -> RedirectResponse:
    """Redirect after a form with 303, so that a reload of the next page does not send the form again."""
    return RedirectResponse(path, status_code=303)
