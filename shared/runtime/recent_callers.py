"""Whom the processes of a service served last, in memory that they share: so each knows whether others ask at any.

Each process writes a record of its own. One that is read while it is written may be half old: then one look sees a
caller as alone, or as one of several, who is not.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys

REFRESHED_SECONDS = 0.02
"""How old the time of a record may become while a process serves one caller alone."""
_RECORD = struct.Struct("=Qdd")


class RecentCallers:
    """The records in `memory`, of which `slot`, from 0, is this process's. Callers are numbers of 64 bits; times are of
    the machine's monotonic clock."""

    def __init__(self, memory: mmap.mmap | bytearray, slot: int = 0) -> None:
        self._memory = memory
        self._offset = slot * _RECORD.size
        self._caller = 0
        self._at = self._others_at = self._written_at = 0.0

    def note(self, caller: int, now: float) -> None:
        """This process serves the caller."""
        if caller != self._caller:
            self._others_at, self._caller = self._at, caller
        elif now - self._written_at < REFRESHED_SECONDS:
            self._at = now
            return
        self._at = self._written_at = now
        record = _RECORD.pack(caller, now, self._others_at)  # pack_into would clear the memory before it writes
        self._memory[self._offset : self._offset + _RECORD.size] = record

    def others_since(self, caller: int, since: float) -> bool:
        """Whether any process has served another caller since then."""
        records = _RECORD.iter_unpack(self._memory)
        return any(others_at > since or (at > since and served != caller) for served, at, others_at in records)


def record_bytes(processes: int) -> int:
    """The size of the records of so many processes."""
    return processes * _RECORD.size


def create_memory(processes: int) -> int | None:
    """A file descriptor of memory for so many processes, for their parent to hand on; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        descriptor = os.memfd_create("batua-recent-callers")
    except OSError:  # a sandbox may refuse it: then each process knows its own callers alone
        return None
    os.truncate(descriptor, record_bytes(processes))
    return descriptor


def share_memory(descriptor: int, slot: int) -> None:
    """Let `of_this_process` use the memory of a descriptor, which is closed."""
    _shared.append(RecentCallers(mmap.mmap(descriptor, 0), slot))
    os.close(descriptor)


def of_this_process() -> RecentCallers:
    """The records that this process shares, or its own alone."""
    return _shared[-1] if _shared else RecentCallers(bytearray(record_bytes(1)))


_shared: list[RecentCallers] = []
