"""What keeps people out of a page: rules of accessibility that it breaks, and scrolling sideways."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # ships no types
from playwright.sync_api import Page

_GRAVE = {"serious", "critical"}


def find_barriers(page: Page) -> list[str]:
    """What makes the page hard or impossible to use, by the rules of axe."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['html'][:200]} {[check['message'] for check in node['any']]}"
        for rule in found
        if rule["impact"] in _GRAVE
        for node in rule["nodes"]
    ]


def is_wider_than_the_screen(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
