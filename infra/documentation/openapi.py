"""Write openapi/<service>.json: the published contract of every HTTP service."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

from fastapi import FastAPI

from shared.banks.table import BANKS

# The contract does not depend on settings; these only let the applications be built.
_WEBHOOK_SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="  # noqa: S105 - guards nothing
_FOR_HDFC: Mapping[str, str] = {
    "BATUA_BANK_HDFC_API_KEY": "placeholder",
    "BATUA_BANK_HDFC_URL": "http://localhost",
    "BATUA_BANK_HDFC_WEBHOOK_SECRETS": _WEBHOOK_SECRET,
    "BATUA_BANK_HDFC_WEBHOOK_NETWORKS": "127.0.0.0/8",
    "DUMMY_BANK_HDFC_API_KEY": "placeholder",
    "DUMMY_BANK_HDFC_WEBHOOK_SECRET": _WEBHOOK_SECRET,
    "DUMMY_BANK_HDFC_WEBHOOK_URL": "http://localhost",
}
_PLACEHOLDERS: Mapping[str, str] = {
    "BATUA_DATABASE_URL": "postgresql://localhost/batua",
    "BATUA_REDIS_URL": "redis://localhost",
    "BATUA_TOKEN_KEYS": "placeholder-0123456789",
    "BATUA_PIN_PEPPER": "placeholder-0123456789",
    "BATUA_ACCOUNT_NUMBER_KEYS": f"1:{'0' * 43}",
    "BATUA_USER_APP_URL": "http://localhost",
    "BATUA_MERCHANT_APP_URL": "http://localhost",
    **{name.replace("HDFC", code.upper()): value for code in BANKS for name, value in _FOR_HDFC.items()},
    "DUMMY_BANK_DATABASE": os.devnull,
    "DUMMY_BANK_PUBLIC_URL": "http://localhost",
}
SERVICES = ("user_app", "merchant_app", "bank_webhook", "dummy_bank")


def openapi_documents() -> Mapping[str, Callable[[], str]]:
    """The document of each service, by the name of its file."""
    return {f"openapi/{service}.json": partial(_document, service) for service in SERVICES}


def application(service: str) -> FastAPI:
    """The service's application, whose lifespan is not opened."""
    with _environment(_PLACEHOLDERS):
        app: FastAPI = import_module(f"services.{service}.main").create_app()
    return app


def _document(service: str) -> str:
    return json.dumps(application(service).openapi(), indent=2, ensure_ascii=False) + "\n"


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Exactly these settings inside the block, whatever the caller's environment says."""
    before: dict[str, Any] = dict(os.environ)
    ours = ("BATUA_", "DUMMY_BANK_")
    for name in [name for name in os.environ if name.startswith(ours)]:
        del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
