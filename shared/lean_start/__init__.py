"""Load libraries without those of their parts that no service uses: they cost each start CPU, and its process memory.

A library that asks whether an optional part is installed is told that it is not. Each service has a module here,
which its `main` loads before anything else does, because a library that is loaded is complete already.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_UNUSED_PARTS = {
    "fastapi": ("email_validator",),  # for an address in the title of an OpenAPI document; ours has none
    "httpx": ("httpx._main",),  # its command line, with rich, pygments and click
    "jwt": ("cryptography",),  # for signatures by key pairs: ours are HS256, of the standard library
    "kombu.serialization": ("yaml",),  # our messages are JSON
    "redis.asyncio": ("opentelemetry.sdk.metrics",),  # its own metrics, which are off
}


def load(*libraries: str) -> None:
    """Load each of these libraries without its unused parts. Others may load those parts later."""
    for library in libraries:
        with _as_if_absent(_UNUSED_PARTS[library]):
            importlib.import_module(library)


@contextmanager
def _as_if_absent(modules: tuple[str, ...]) -> Iterator[None]:
    """Refuse to import these modules for a while, unless they are loaded already."""
    absent = [module for module in modules if module not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: not to be found
    try:
        yield
    finally:
        for module in absent:
            del sys.modules[module]


def without_old_pydantic() -> None:
    """Spare FastAPI pydantic.v1, in which it looks whether a model is an old one, with every route. We have none."""
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]  # as above
