"""Outages leave nothing open: afterwards no process has more descriptors, and Redis no more clients, than before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil
import pytest
from redis import Redis

from infra.demo.actors import Holder, wait_for
from infra.local.layout import SERVICES
from infra.local.stack import Stack
from tests.support.deadlines import patience
from tests.support.waiting import eventually
from tests.system.test_redis_away import until_paid, withdraw

pytestmark = pytest.mark.xdist_group("system")

ATTEMPTS = 15
"""In each outage, of each that is waited for."""
COMES_AND_GOES = 6
"""Descriptors of one service for calls under way, at most. One that each attempt leaves open makes more."""


@contextmanager
def stopped(stack: Stack, process: str) -> Iterator[None]:
    stack.stop_process(process)
    try:
        yield
    finally:
        stack.start_process(process)


@contextmanager
def redis_full(stack: Stack) -> Iterator[None]:
    """Connections are accepted, commands are not."""
    with redis_of(stack) as redis:
        bound = redis.config_get("maxmemory")["maxmemory"]
        redis.config_set("maxmemory", 1)
        try:
            redis.client_kill_filter(_type="normal", skipme=True)
            yield
        finally:
            redis.config_set("maxmemory", bound)


def redis_of(stack: Stack) -> Redis:
    return Redis.from_url(stack.environment()["BATUA_REDIS_URL"])


def clients(stack: Stack) -> int:
    with redis_of(stack) as redis:
        return len(redis.client_list())


def descriptors(stack: Stack) -> Mapping[str, int]:
    """By service, without connections to Postgres, whose pools grow up to their bounds, and those of callers."""
    found = {}
    for service in SERVICES:
        pids = {stack.pid(service), *stack.serving_pids(service)}
        found[service] = sum(_descriptors(psutil.Process(pid), stack) for pid in pids)
    return found


def _descriptors(process: psutil.Process, stack: Stack) -> int:
    ours, postgres = {stack.layout.port(service) for service in SERVICES}, stack.layout.port("postgres")
    connections = process.net_connections("tcp")
    beside = [each for each in connections if each.raddr and (each.raddr.port == postgres or each.laddr.port in ours)]
    return process.num_fds() - len(beside)


def until_tried(stack: Stack, service: str, words: str) -> None:
    def count() -> int:
        return stack.layout.log_file(service).read_text(encoding="utf-8").count(words)

    before = count()
    eventually(lambda: count() >= before + ATTEMPTS, f"{service} has tried {ATTEMPTS} times", seconds=60)


def without_redis(stack: Stack, asha: Holder) -> None:
    withdraw(asha)
    until_tried(stack, "scheduler", "the broker took none")


def refused_by_redis(stack: Stack, asha: Holder) -> None:
    without_redis(stack, asha)
    until_tried(stack, "withdraw_worker", "Cannot connect to")  # elsewhere it soon waits for long between two attempts


def without_postgres(stack: Stack, asha: Holder) -> None:
    for _ in range(ATTEMPTS):
        assert asha.request("GET", "/wallet").status_code == 503


def test_outages_leave_nothing_open(stack: Stack, person: Callable[..., Holder], prove: Callable[[], None]) -> None:
    asha = person("Asha")
    until_paid(asha, withdraw(asha))
    before, clients_before = descriptors(stack), clients(stack)
    for outage, wait in (
        (stopped(stack, "redis"), without_redis),
        (redis_full(stack), refused_by_redis),
        (stopped(stack, "postgres"), without_postgres),
    ):
        with outage:
            wait(stack, asha)
        until_paid(asha, withdraw(asha))

    def more() -> Mapping[str, int]:
        """What each service has beyond what comes and goes."""
        more = {service: count - before[service] for service, count in descriptors(stack).items()}
        return {service: count for service, count in more.items() if count > COMES_AND_GOES}

    wait_for(more, lambda more: not more, "each service has as many descriptors as before", seconds=patience())
    eventually(lambda: clients(stack) <= clients_before + COMES_AND_GOES, "Redis has as many clients as before")
    prove()
