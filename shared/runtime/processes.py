"""CPU time, memory and files of each process that shares a port with this one, by pid, as Linux shows them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from prometheus_client import Metric, ProcessCollector
from prometheus_client.registry import Collector


class EachProcess(Collector):
    """The metrics `process_*` of all children of this one's supervisor; what has ended meanwhile is left out."""

    def collect(self) -> Iterable[Metric]:
        """One family of each name, with a sample per process."""
        families: dict[str, Metric] = {}
        for pid in _siblings():
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                family.samples += [sample._replace(labels={"pid": str(pid)}) for sample in metric.samples]
        return families.values()


def _siblings() -> list[int]:
    supervisor = os.getppid()
    try:
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text(encoding="ascii").split()
    except OSError:  # another system, or a kernel that does not tell
        return [os.getpid()]
    return [int(pid) for pid in children]
