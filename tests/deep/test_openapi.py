"""A thousand examples of each operation, and calls that follow each other by the links between operations."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.stack import Stack
from tests.support.api_fuzzer import SERVICES, fuzz
from tests.support.share import HOURS, in_share

EXAMPLES = in_share(1000)


@pytest.mark.parametrize("service", SERVICES)
def test_the_api_is_what_it_says_it_is_however_often_it_is_asked(
    service: str, battered_stack: Stack, tmp_path: Path
) -> None:
    phases = "examples,coverage,fuzzing,stateful"
    print(fuzz(battered_stack, service, tmp_path, phases=phases, examples=EXAMPLES, seconds=HOURS))
