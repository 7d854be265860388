"""Each process knows whether another caller was served, by itself or by any other process of its service."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from infra.local.layout import CHECKOUT
from shared.runtime import recent_callers
from shared.runtime.recent_callers import RecentCallers, create_memory, record_bytes, share_memory
from tests.support.deadlines import deadline

ONE, OTHER = 2**64 - 1, 7
NOTE = """
import sys
from shared.runtime import recent_callers
recent_callers.share_memory(int(sys.argv[1]), 1)
recent_callers.of_this_process().note(int(sys.argv[2]), float(sys.argv[3]))
"""


@pytest.fixture
def both() -> tuple[RecentCallers, RecentCallers]:
    memory = bytearray(record_bytes(2))
    return RecentCallers(memory, 0), RecentCallers(memory, 1)


@pytest.mark.parametrize("which", [0, 1])
def test_a_caller_is_alone_until_any_process_serves_another(
    both: tuple[RecentCallers, RecentCallers], which: int
) -> None:
    asked = both[0]
    asked.note(ONE, 100.0)
    assert not asked.others_since(ONE, 99.0)
    both[which].note(OTHER, 100.5)
    assert asked.others_since(ONE, 100.0)
    assert not asked.others_since(ONE, 100.5), "that is long ago"
    both[which].note(ONE, 101.0)
    assert asked.others_since(ONE, 100.0), "it was served before"
    assert asked.others_since(OTHER, 100.6)


def test_the_time_of_a_caller_who_goes_on_is_refreshed(both: tuple[RecentCallers, RecentCallers]) -> None:
    one, other = both
    for hundredths in range(100):
        one.note(ONE, 100 + hundredths / 100)
    assert other.others_since(OTHER, 101 - recent_callers.REFRESHED_SECONDS - 0.02)


def test_before_anyone_is_served_everyone_is_alone(both: tuple[RecentCallers, RecentCallers]) -> None:
    assert not both[0].others_since(ONE, 0.0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes share memory by Linux's memfd_create(2)")
def test_the_memory_is_that_of_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_callers, "_shared", [])
    descriptor = create_memory(2)
    assert descriptor is not None
    subprocess.run(
        [sys.executable, "-c", NOTE, str(descriptor), str(OTHER), "100.5"],
        cwd=CHECKOUT,
        pass_fds=[descriptor],
        timeout=deadline(60),
        check=True,
    )
    share_memory(descriptor, 0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    asked = recent_callers.of_this_process()
    asked.note(ONE, 101.0)
    assert asked.others_since(ONE, 100.0)
    assert not asked.others_since(OTHER, 101.0)
