"""How fast this machine is now, with its present load, compared with a reference machine.

It reads the wall clock, so a slow processor and a busy one count alike.
"""

from __future__ import annotations

import hashlib
import json
import time

REFERENCE_SECONDS = 0.017
"""What the piece of work takes on the reference machine: one core of a 2024 server, idle."""
MOST = 50.0
"""No wait is stretched further: a machine that stood still for a moment must not stop a run for hours."""


def measure() -> float:
    """Do the piece of work once; returns how many times the reference time it took, between 1 and `MOST`."""
    began = time.monotonic()
    for _ in range(10):
        _work()
    return min(max((time.monotonic() - began) / REFERENCE_SECONDS, 1.0), MOST)


def _work() -> None:
    """What tests and services do most: hash and handle small objects."""
    text = b"batua"
    for _ in range(2000):
        text = hashlib.sha256(text).digest()
    json.loads(json.dumps([{"amount": number, "note": text.hex()} for number in range(600)]))
