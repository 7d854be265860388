"""Every start of a process pays for what it loads: a service loads no large library that it has no use for."""

from __future__ import annotations

import subprocess
import sys

import pytest

IN_NO_SERVICE = {"opentelemetry.sdk.metrics", "pydantic.v1", "pygments", "rich", "yaml"}
UNUSED = {
    "user_app": IN_NO_SERVICE | {"aiosmtplib", "cryptography.x509", "psutil", "typer", "xlsxwriter"},
    "merchant_app": IN_NO_SERVICE | {"PIL", "aiosmtplib", "cryptography.x509", "httpx", "psutil", "typer", "zxingcpp"},
    "bank_webhook": IN_NO_SERVICE | {"PIL", "email_validator", "psutil", "typer"},
    "dummy_bank": IN_NO_SERVICE | {"PIL", "email_validator", "psutil", "sqlalchemy", "typer"},
}


@pytest.mark.parametrize("service", UNUSED)
def test_a_service_loads_nothing_large_that_it_does_not_use(service: str) -> None:
    program = f"import sys, services.{service}.main; print(*[name for name, module in sys.modules.items() if module])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert f"services.{service}.main" in loaded
    assert loaded & UNUSED[service] == set()


def test_the_worker_loads_nothing_large_that_it_does_not_use() -> None:
    """Its libraries as its application loads them, without the settings that the application itself reads."""
    program = """
import sys
import shared.lean_start.worker
import services.withdraw_worker.resources, services.withdraw_worker.tasks, services.withdraw_worker.schedule
print(*sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "services.withdraw_worker.resources" in loaded
    assert loaded & {"PIL", "fastapi", "opentelemetry.sdk.metrics", "psutil", "pygments", "rich", "typer"} == set()


def test_what_was_left_out_can_be_loaded_later() -> None:
    """An operator who sets up tracing needs OpenTelemetry, and netbanking keys need cryptography."""
    program = """
import shared.lean_start.user_app
import opentelemetry.sdk.metrics, cryptography.x509, httpx, jwt, shared.runtime.otlp
assert jwt.decode(jwt.encode({}, "k" * 32, "HS256"), "k" * 32, ["HS256"]) == {}
"""
    subprocess.run([sys.executable, "-c", program], check=True)
