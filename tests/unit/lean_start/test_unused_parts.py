"""Every start of a process pays for what it loads: a service loads no large library that it has no use for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from infra.documentation.openapi import _PLACEHOLDERS

IN_NO_SERVICE = {"opentelemetry.sdk.metrics", "pydantic.v1", "pygments", "rich", "yaml"}
UNUSED = {
    "user_app": IN_NO_SERVICE | {"aiosmtplib", "cryptography.x509", "psutil", "typer", "xlsxwriter"},
    "merchant_app": IN_NO_SERVICE | {"PIL", "aiosmtplib", "cryptography.x509", "httpx", "psutil", "typer", "zxingcpp"},
    "bank_webhook": IN_NO_SERVICE | {"PIL", "email_validator", "psutil", "typer"},
    "dummy_bank": IN_NO_SERVICE | {"PIL", "email_validator", "psutil", "sqlalchemy", "typer"},
}


def loaded_by(program: str, environment: Mapping[str, str] | None = None) -> set[str]:
    """What a fresh interpreter has loaded after this program. It looks for garbage again, if it had stopped."""
    asked = "import gc, sys; assert gc.isenabled(); print(*[name for name, module in sys.modules.items() if module])"
    command = [sys.executable, "-c", f"{program}\n{asked}"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return set(run.stdout.split())


@pytest.mark.parametrize("service", UNUSED)
def test_a_service_loads_nothing_large_that_it_does_not_use(service: str) -> None:
    loaded = loaded_by(f"import services.{service}.main")
    assert f"services.{service}.main" in loaded
    assert loaded & UNUSED[service] == set()


def test_the_worker_loads_nothing_large_that_it_does_not_use() -> None:
    settings = {**_PLACEHOLDERS, "BATUA_SMTP_HOST": "localhost", "BATUA_SMTP_PORT": "25"}
    loaded = loaded_by("import services.withdraw_worker.app", os.environ | settings)
    assert "services.withdraw_worker.resources" in loaded
    unused = {"PIL", "fastapi", "opentelemetry.sdk.metrics", "psutil", "pygments", "rich", "shared.pages", "typer"}
    assert loaded & unused == set()


def test_what_starts_each_local_process_loads_nothing_large() -> None:
    """It runs before each process of the local stack, at each of its starts."""
    loaded = loaded_by("import infra.local.launch")
    assert "shared.banks.table" in loaded
    assert loaded & {"asyncio", "email", "pydantic", "pydantic_core", "sqlalchemy"} == set()


def test_what_was_left_out_can_be_loaded_later() -> None:
    """An operator who sets up tracing needs OpenTelemetry, and netbanking keys need cryptography."""
    program = """
import shared.lean_start.user_app
import opentelemetry.sdk.metrics, cryptography.x509, httpx, jwt, shared.runtime.otlp
assert jwt.decode(jwt.encode({}, "k" * 32, "HS256"), "k" * 32, ["HS256"]) == {}
"""
    subprocess.run([sys.executable, "-c", program], check=True)
