"""Serve the bank webhook: `python -m services.bank_webhook --host 127.0.0.1 --port 8003`.

With `--reuse-port` several instances share the port, so one can be replaced while the others run.
"""

from __future__ import annotations

from shared.serving.command_line import main

DRAIN_SECONDS = 20
"""Longer than one delivery may take to be committed."""

if __name__ == "__main__":
    main("bank_webhook", port=8003, graceful_seconds=DRAIN_SECONDS)
