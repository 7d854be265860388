"""The stylesheet, the script, the icon and the manifest: cached for a year under a hash, sent compressed."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

DIRECTORY = Path(__file__).parent / "static"
PREFIX = "/static"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_HASH_LENGTH = 16
_FOREVER = "public, max-age=31536000, immutable"
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_BLANKS = re.compile(r"\s+")
# A blank before a colon joins two selectors, and those around a plus or a minus belong to calc().
_BLANKS_AROUND = re.compile(r" ?([{};,]) ?|(?<=[a-z]:) ")


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, read once when the process starts to serve it."""

    content: bytes
    compressed: bytes
    version: str
    media_type: str


@cache
def files() -> dict[str, StaticFile]:
    """Every static file by its name."""
    return {path.name: _read(path) for path in sorted(DIRECTORY.iterdir()) if path.suffix in MEDIA_TYPES}


def url(name: str) -> str:
    """The address of the file, which changes with its content. Raises KeyError if there is no such file."""
    return f"{PREFIX}/{name}?v={files()[name].version}"


router = APIRouter(include_in_schema=False)


@router.get(f"{PREFIX}/{{name}}")
async def static(name: str, request: Request) -> Response:
    """The file. It holds no secret, so it may be compressed; pages never are (BREACH attack)."""
    file = files().get(name)
    if file is None:
        raise HTTPException(404)
    etag = f'"{file.version}"'
    is_named_by_content = request.query_params.get("v") == file.version
    headers = {
        "ETag": etag,
        "Vary": "Accept-Encoding",
        "Cache-Control": _FOREVER if is_named_by_content else "no-cache",
    }
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    if path.suffix == ".css":
        content = _compact(content.decode()).encode()
    version = hashlib.sha256(content).hexdigest()[:_HASH_LENGTH]
    return StaticFile(content, gzip.compress(content, 9, mtime=0), version, MEDIA_TYPES[path.suffix])


def _compact(stylesheet: str) -> str:
    """Remove comments and needless blanks. The stylesheet has no string with a comma, a brace or a semicolon."""
    bare = _COMMENT.sub("", stylesheet)
    return _BLANKS_AROUND.sub(lambda found: found[1] or "", _BLANKS.sub(" ", bare)).replace(";}", "}").strip()
