"""A fuzzer that a service's own OpenAPI document drives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from infra.demo.actors import Holder
from infra.local.secrets import read_secrets
from infra.local.stack import Stack
from tests.support.deadlines import deadline

SERVICES = ("user_app", "merchant_app", "bank_webhook", "dummy_bank")
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method,missing_required_header,ignored_auth"
)
# Signing out would end the fuzzer's own session; metrics are Prometheus' text, not JSON; a stream of events has
# no end to wait for.
SKIPPED = r"/auth/logout$|/metrics$|/events$"
PROFILES = {
    "user_app": {"first_name": "Fuzzy", "last_name": "Rao"},
    "merchant_app": {"business_name": "Fuzzy Tea"},
}


def authorization(stack: Stack, service: str) -> list[str]:
    if service == "dummy_bank":
        key = read_secrets(stack.layout.secrets_file)["BATUA_BANK_HDFC_API_KEY"]
        return ["--header", f"X-Api-Key: {key}"]
    if service not in PROFILES:
        return []
    holder = Holder(stack.url(service), **PROFILES[service])
    holder.close()
    return ["--header", f"Authorization: Bearer {holder.token}"]


def fuzz(stack: Stack, service: str, folder: Path, *, phases: str, examples: int, seconds: float) -> str:
    """Send so many examples to each operation; what the fuzzer says in the end. Fails on what it finds."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{stack.url(service)}/openapi.json"),
        *authorization(stack, service),
        *("--checks", CHECKS, "--phases", phases, "--max-examples", f"{examples}", "--seed", "20261120"),
        *("--exclude-path-regex", SKIPPED, "--suppress-health-check", "all"),
        *("--request-timeout", f"{deadline(10):.0f}"),
        *("--no-color", "--warnings", "off", "--continue-on-failure"),
    ]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=deadline(seconds), check=False)
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
    return run.stdout
