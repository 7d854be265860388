"""How many processes a service runs when no setting says it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

MOST_BY_DEFAULT = 4
"""Three services with four processes each, and the worker, need fewer than 200 connections to Postgres."""
_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")


def available_cores(quota_file: Path = _CGROUP_CPU) -> int:
    """The cores that this process may use: those it is allowed to run on, and no more than its container's quota."""
    allowed = len(os.sched_getaffinity(0)) if sys.platform.startswith("linux") else os.cpu_count() or 1
    quota = _quota(quota_file)
    return allowed if quota is None else max(1, min(allowed, quota))


def default_processes() -> int:
    """One process per core, MOST_BY_DEFAULT at most. One where the kernel does not spread connections over sockets."""
    return min(available_cores(), MOST_BY_DEFAULT) if sys.platform.startswith("linux") else 1


def _quota(file: Path) -> int | None:
    """Whole cores of a container's CPU quota, rounded up; None without one."""
    try:
        quota, period = file.read_text(encoding="ascii").split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError):
        return None
