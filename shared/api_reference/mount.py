"""The API reference for people: `/docs` shows `/openapi.json` with Swagger UI, served from the service's own origin.

The Swagger UI files come from the `fastapi-offline` package, so that no page loads code from another host.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse

PATH = "/docs"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_OUR_FILES = Path(__file__).parent


def mount_api_reference(app: FastAPI) -> None:
    """Add `/docs` and its files to the app; none of them is part of the published API."""
    for path, (file, media_type) in _files().items():
        _add(app, path, file, media_type)


def _files() -> Mapping[str, tuple[Path, str]]:
    bundle = _bundle()
    return {
        PATH: (_OUR_FILES / "index.html", "text/html"),
        f"{PATH}/start.js": (_OUR_FILES / "start.js", "text/javascript"),
        f"{PATH}/swagger-ui-bundle.js": (bundle / "swagger-ui-bundle.js", "text/javascript"),
        f"{PATH}/swagger-ui.css": (bundle / "swagger-ui.css", "text/css"),
    }


def _bundle() -> Path:
    """The package's folder of static files. The package itself is not imported: only its files are used."""
    spec = find_spec("fastapi_offline")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "static"


def _add(app: FastAPI, path: str, file: Path, media_type: str) -> None:
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "public, max-age=86400"}

    async def answer() -> FileResponse:
        return FileResponse(file, media_type=media_type, headers=headers)

    app.add_api_route(path, answer, methods=["GET"], include_in_schema=False)
