"""A network of its own for each node: a namespace with one cable to a bridge. A cable can be cut."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

BRIDGE = "batua-ha"
HERE = "10.213.77.1"
"""The bridge's own address: etcd, HAProxy and the services are here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one node runs."""

    number: int

    @property
    def address(self) -> str:
        """Its address on the bridge."""
        return f"10.213.77.{10 + self.number}"

    @property
    def namespace(self) -> str:
        """The name of its network namespace."""
        return f"batua-ha-{self.number}"

    @property
    def cable(self) -> str:
        """The end of its cable at the bridge."""
        return f"batua-ha{self.number}"

    def within(self, command: Sequence[str]) -> list[str]:
        """The command, run in this place, where it is process 1."""
        own_processes = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        return ["ip", "netns", "exec", self.namespace, *own_processes, *command]

    def cut(self) -> None:
        """Nothing passes any more, and no one is told."""
        _ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        """Everything passes again."""
        _ip("link", "set", self.cable, "up")


@contextmanager
def places(count: int) -> Iterator[list[Place]]:
    """So many places; nothing of them is left at the end."""
    found = [Place(number) for number in range(1, count + 1)]
    _remove(found)
    try:
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{HERE}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for place in found:
            _ip("netns", "add", place.namespace)
            _ip("link", "add", place.cable, "type", "veth", "peer", "name", "eth0", "netns", place.namespace)
            _ip("link", "set", place.cable, "master", BRIDGE, "up")
            for command in (
                ("addr", "add", f"{place.address}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
                ("link", "set", "lo", "up"),
            ):
                _ip("-n", place.namespace, *command)
        yield found
    finally:
        _remove(found)


def _remove(found: Sequence[Place]) -> None:
    """What a run that was killed left behind, too."""
    for place in found:
        subprocess.run(["ip", "link", "del", place.cable], capture_output=True, timeout=10, check=False)
        subprocess.run(["ip", "netns", "del", place.namespace], capture_output=True, timeout=10, check=False)
    subprocess.run(["ip", "link", "del", BRIDGE], capture_output=True, timeout=10, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=10)
