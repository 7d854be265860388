"""Compile templates ahead of the first start, for an image: `python -m shared.pages DIRECTORY ...`."""

from __future__ import annotations

import sys
from pathlib import Path

from shared.pages.rendering import environment_of

for templates in sys.argv[1:]:
    environment_of(Path(templates).resolve())
