"""The files of archived seals: gzipped text, whose content has the seal's hash.

`zcat seal-00000001.jsonl.gz | sha256sum` answers the hash of seal 1. The first line names the hash of the seal before,
so that the files form the same chain as the seals do. Each further line is an entry with its transfer, as a JSON array.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared.ids import new_token
from shared.proof.errors import FileDiffers, SealDiffers

_PART_BYTES = 1024 * 1024
_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile)
_NOT_AN_ENTRY = ("archived",)


def name_of(seal_id: int) -> str:
    """What the file of a seal is called."""
    return f"seal-{seal_id:08}.jsonl.gz"


async def write(path: Path, content: AsyncIterator[tuple[bytes, int]], *, expected_hash: str) -> None:
    """Write the file, if the content has this hash. Raises SealDiffers.

    It is written under a name of its own, so that a file with this name is whole; and one that is there is never
    replaced, whichever process made it meanwhile.
    """
    for left_behind in path.parent.glob(f".{path.name}.*"):  # by a process that died: no other writes this seal now
        left_behind.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{new_token(6)}")
    digest = hashlib.sha256()
    try:
        with (
            os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
            # Without a name and a time, the same content makes the same file.
            gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=6) as compressed,
        ):
            async for part, _ in content:
                compressed.write(part)
                digest.update(part)
        if digest.hexdigest() != expected_hash:
            raise SealDiffers(path.name)
        _sync(partial)
        _name(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _name(partial: Path, path: Path) -> None:
    """Give the file its name, if none has it."""
    with suppress(FileExistsError):
        path.hardlink_to(partial)


def keep(path: Path) -> None:
    """Let the disk have the file and its name, also one that a process wrote which then died."""
    _sync(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_of(path: Path) -> str:
    """SHA-256 of the file as it lies there."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_content(path: Path, expected_hash: str) -> None:
    """Read it from the disk, whole. Raises FileDiffers unless its content has this hash."""
    digest = hashlib.sha256()
    try:
        with gzip.open(path, "rb") as file:
            while part := file.read(_PART_BYTES):
                digest.update(part)
    except _BROKEN:
        raise FileDiffers(path.name) from None
    if digest.hexdigest() != expected_hash:
        raise FileDiffers(path.name)


def entries_of(path: Path) -> Iterator[list[Any]]:
    """The entries of a file whose content is known to be right, each as the array of its line."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        next(file)
        for line in file:
            said = json.loads(line)
            if said[0] not in _NOT_AN_ENTRY:
                yield said
