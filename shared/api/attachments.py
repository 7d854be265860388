"""How an exported statement is named."""

from __future__ import annotations

from shared import clock


def attachment_headers(ending: str) -> dict[str, str]:
    """A browser saves the answer as a file named by today's date in UTC, with this ending; no cache keeps it."""
    filename = f"batua-transactions-{clock.now():%Y-%m-%d}.{ending}"
    return {"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"}
