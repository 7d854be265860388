"""For the bank simulator.

What is imported stays, so Python looks for no garbage in it meanwhile: a seventh of the start. The importer turns that
on again.
"""

from __future__ import annotations

import gc

from shared.lean_start import load, without_old_pydantic

gc.disable()
without_old_pydantic()
load("fastapi", "httpx")
