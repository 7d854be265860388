"""The webhook talks to Postgres alone, so it loads no library and no room of ours that something else needs."""

from __future__ import annotations

import subprocess
import sys

FOREIGN = {
    "babel",
    "bcrypt",
    "celery",
    "httpx",
    "jinja2",
    "jwt",
    "kombu",
    "limits",
    "redis",
    "segno",
    "shared.api",
    "shared.live",
    "shared.pages",
    "shared.redis",
    "shared.runtime.resources",
    "shared.tasks",
}


def test_the_webhook_loads_nothing_that_it_does_not_need() -> None:
    program = "import sys, services.bank_webhook.main; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "services.bank_webhook.main" in loaded
    assert loaded & FOREIGN == set()
