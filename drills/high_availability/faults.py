"""What breaks, one after another, each on a cluster that has recovered from the one before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from drills.high_availability.cluster import NODES, Cluster
from drills.high_availability.judgement import Fault

WATCH_SECONDS = 12.0
NODE_WATCH_SECONDS = 40.0
"""A leader that is gone is replaced when its lease of 20 s has ended."""
CALM_SECONDS = 5.0
RECOVERY_SECONDS = 180.0

Breaking = Callable[[Cluster], Coroutine[None, None, None]]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """A fault to make, and how long callers may be without a payment; None: it is only shown."""

    name: str
    limit_seconds: float | None
    breaking: Breaking


async def _switch_over(cluster: Cluster) -> None:
    await asyncio.to_thread(cluster.switch_over)
    await asyncio.sleep(WATCH_SECONDS)


async def _kill_postgres(cluster: Cluster) -> None:
    cluster.leader().kill_postgres()
    await asyncio.sleep(WATCH_SECONDS)


async def _kill_node(cluster: Cluster) -> None:
    node = cluster.leader()
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(NODE_WATCH_SECONDS)
    node.start()


async def _cut_network(cluster: Cluster) -> None:
    node = cluster.leader()
    node.place.cut()
    try:
        await asyncio.sleep(NODE_WATCH_SECONDS)
    finally:
        node.place.mend()


async def _fill_disk(cluster: Cluster) -> None:
    filler = await asyncio.to_thread(cluster.nodes[-1].fill_disk)
    try:
        await asyncio.sleep(WATCH_SECONDS)
    finally:
        filler.unlink()


async def keep_off_small_disk(cluster: Cluster) -> None:
    """Let the node with the small disk be a standby: its disk is to be filled."""
    if cluster.leader().place.number == NODES:
        await asyncio.to_thread(cluster.switch_over)
        await asyncio.to_thread(cluster.until_healthy, RECOVERY_SECONDS)


PLANS = (
    Plan("switchover", 3.0, _switch_over),
    Plan("the leader's Postgres is killed", 15.0, _kill_postgres),
    Plan("the leader's node is killed", 30.0, _kill_node),
    Plan("the leader's network is cut", 30.0, _cut_network),
    Plan("a standby's disk is full", 15.0, _fill_disk),
)


async def make(cluster: Cluster, plan: Plan, say: Say) -> Fault:
    """Make the fault, watch, and wait until the cluster is whole again."""
    if plan.breaking is _fill_disk:
        await keep_off_small_disk(cluster)
    await asyncio.sleep(CALM_SECONDS)
    leader = cluster.leader().name
    began = time.monotonic()
    await plan.breaking(cluster)
    ended = time.monotonic()
    await asyncio.to_thread(cluster.until_healthy, RECOVERY_SECONDS)
    whole = time.monotonic() - began
    say(f"{plan.name}: the leader was {leader} and is {cluster.leader().name}; whole again after {whole:.0f} s")
    return Fault(plan.name, began, ended, plan.limit_seconds)
