"""What keeps people out of a page: rules of accessibility that it breaks, and scrolling sideways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]  # ships no types
from playwright.sync_api import Page

from tests.support.browser.visits import DESKTOP, PHONE, Screen

SMALL = Screen(width=320, height=640)
SCREENS = (SMALL, PHONE, DESKTOP)

_GRAVE = {"serious", "critical"}


def find_barriers(page: Page) -> list[str]:
    """What makes the page hard or impossible to use, by the rules of axe."""
    if not page.evaluate("'axe' in window"):  # half a megabyte, once for each page that is loaded
        page.evaluate(AXE_SCRIPT)
    found: list[dict[str, Any]] = page.evaluate(
        "axe.run({ resultTypes: ['violations'] }).then((results) => results.violations)"
    )
    return [
        f"{rule['id']}: {node['target']} {node['html'][:200]} {[check['message'] for check in node['any']]}"
        for rule in found
        if rule["impact"] in _GRAVE
        for node in rule["nodes"]
    ]


def is_wider_than_the_screen(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def find_barriers_everywhere(page: Page, screens: Iterable[Screen] = SCREENS) -> list[str]:
    """The same page on each screen by day and by night, without loading it again: what is wrong where.

    Scrolling sideways is looked for on every screen, and the rules of axe on the first by day and on the last by night:
    colours do not depend on the width, nor widths on the colours. Afterwards the page is as it was, by day.
    """
    before, all_screens = page.viewport_size, tuple(screens)
    first, last = (all_screens[0], False), (all_screens[-1], True)
    found = []
    for dark in (False, True):
        page.emulate_media(color_scheme="dark" if dark else "light")
        for screen in all_screens:
            page.set_viewport_size(screen)
            where = f"{screen['width']} wide, {'dark' if dark else 'light'}: "
            if is_wider_than_the_screen(page):
                found.append(where + "scrolls sideways")
            if (screen, dark) in (first, last):
                found += [where + each for each in find_barriers(page)]
    page.emulate_media(color_scheme="light")
    if before is not None:
        page.set_viewport_size(before)
    return found
