"""Serve user_app: `python -m services.user_app --host 127.0.0.1 --port 8001`."""

from __future__ import annotations

from shared.serving.command_line import main

if __name__ == "__main__":
    main("user_app", port=8001)
