"""What an app says of itself to get pages: its name, its navigation, its templates and its routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter
from jinja2 import Environment

from shared.config import Settings


@dataclass(frozen=True, slots=True)
class NavItem:
    """A place in the navigation; `icon` is a name known to `icons.html`. The prominent one stands out on a phone."""

    label: str
    href: str
    icon: str
    is_prominent: bool = False

    def is_current(self, path: str) -> bool:
        """Whether a page at `path` belongs to this place."""
        return path == self.href or (self.href != "/" and path.startswith(f"{self.href}/"))


@dataclass(frozen=True, slots=True)
class Shell:
    """The words and places around every page of an app."""

    name: str
    promise: str
    """What the app is for, in a few words: the large line beside the sign-in form."""
    points: Sequence[tuple[str, str, str]]
    """Reasons to trust it, beside the sign-in form: icon, heading, sentence."""
    nav: Sequence[NavItem]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The pages of one app, as `create_application` takes them."""

    shell: Shell
    templates: Path
    routers: Sequence[APIRouter]
    form_targets: Sequence[str] = field(default_factory=tuple)
    """Origins besides our own that a form may end up at after its redirect: the banks'."""


@dataclass(frozen=True, slots=True)
class PageState:
    """`app.state.pages`: what `render` needs."""

    shell: Shell
    environment: Environment
    settings: Settings
