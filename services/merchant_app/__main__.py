"""Serve merchant_app: `python -m services.merchant_app --host 127.0.0.1 --port 8002`."""

from __future__ import annotations

from shared.serving.command_line import main

if __name__ == "__main__":
    main("merchant_app", port=8002)
