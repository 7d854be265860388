"""What an app gives to have pages: its name, its navigation, its templates and its routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter


@dataclass(frozen=True, slots=True)
class NavItem:
    """An entry of the navigation. `icon` is a name in `icons.html`; a phone shows the prominent one larger."""

    label: str
    href: str
    icon: str
    is_prominent: bool = False
    is_for_wide_screens: bool = False
    """A phone has no room for it."""

    def is_current(self, path: str) -> bool:
        """Whether the page at `path` belongs to this entry."""
        return path == self.href or (self.href != "/" and path.startswith(f"{self.href}/"))


@dataclass(frozen=True, slots=True)
class Shell:
    """The words and the navigation around every page of an app."""

    name: str
    promise: str
    """What the app is for: the headline beside the sign-in form."""
    points: Sequence[tuple[str, str, str]]
    """Reasons to trust it, beside the sign-in form: icon, heading, sentence."""
    nav: Sequence[NavItem]
    add_money_path: str | None = None
    """The page that adds money, offered where funds are short; None in an app without one."""
    manifest: str | None = None
    """The static file with which a phone installs the app, and then offers it links that other apps share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The pages of one app, as `install_pages` takes them."""

    shell: Shell
    templates: Path
    routers: Sequence[APIRouter]
    form_targets: Sequence[str] = field(default_factory=tuple)
    """Origins other than ours to which a form may lead after its redirect: the banks'."""
