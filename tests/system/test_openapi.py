"""A spec-driven fuzzer finds no undocumented status, no answer off its schema and no 5xx.

Every value at the edge of what a schema allows is sent, and a few at random: `make test-deep` sends a thousand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.stack import Stack
from tests.support.api_fuzzer import SERVICES, fuzz

pytestmark = pytest.mark.xdist_group("battered")

EXAMPLES = 4
"""Random ones of each operation; each takes several times the CPU that a value at an edge takes."""


@pytest.mark.parametrize("service", SERVICES)
def test_the_api_is_what_it_says_it_is(service: str, battered_stack: Stack, tmp_path: Path) -> None:
    fuzz(battered_stack, service, tmp_path, phases="examples,coverage,fuzzing", examples=EXAMPLES, seconds=180)
