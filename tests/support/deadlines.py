"""How long a test may wait on this machine.

Tests name their allowances in seconds of a reference machine with nothing else to do. `deadline()` stretches them by
`slowness()`: by how many times longer a fixed piece of work takes here and now. It reads the wall clock, so a slow
processor and a busy one count alike. Every process measures at its first question and again every ten seconds;
pytest workers also keep to what the controlling process measured at the start, which `SLOWNESS` passes on.
"""

from __future__ import annotations

import os
import time

from infra.local.slowness import measure

SLOWNESS = "BATUA_TESTS_SLOWNESS"
"""The environment variable with the slowness at the start of the run."""
ENOUGH_SECONDS = 20.0
"""How long a test waits for what comes at once on the reference machine; only a test that fails waits so long."""
MEASURED_FOR_SECONDS = 10.0
SUDDENLY = 2.0
"""So many times slower than before is measured again: it may have stood still for a moment just then."""

_measured_at = float("-inf")
_slowness = 1.0
_most = 1.0


def deadline(seconds: float = ENOUGH_SECONDS) -> float:
    """These seconds of the reference machine in seconds of this one; never less."""
    return seconds * slowness()


def patience(seconds: float = ENOUGH_SECONDS) -> float:
    """For what a test waits for: stretched by the most that this process has found, never less than `deadline()`.

    What is waited for may take as long as a limit that was set while the machine was slower, or stood still.
    """
    return max(deadline(seconds), seconds * _most)


def slowness() -> float:
    """How many times slower than the reference machine this one is now, 1 at least."""
    global _measured_at, _slowness, _most  # noqa: PLW0603 - one measurement serves the whole process
    if time.monotonic() - _measured_at > MEASURED_FOR_SECONDS:
        found = measure()
        if found > SUDDENLY * _slowness:
            found = min(found, measure())
        _slowness = max(found, float(os.environ.get(SLOWNESS, "1")))
        _most = max(_most, _slowness)
        _measured_at = time.monotonic()
    return _slowness
