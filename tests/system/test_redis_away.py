"""Losing all of Redis at any moment loses no money, moves none twice and strands nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from infra.demo.actors import PIN, Holder, SimulatedBank, wait_for
from infra.local.stack import Stack
from tests.support.deadlines import patience
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("system")


@pytest.fixture
def redis_is_back_afterwards(stack: Stack) -> Iterator[None]:
    yield
    if stack.states()["redis"].state != "RUNNING":  # one that is slow to answer cannot be started
        stack.start_process("redis")


def withdraw(holder: Holder) -> str:
    body = {
        "bank": "hdfc",
        "account_number": "50100012345678",
        "ifsc": "HDFC0000123",
        "account_holder": "Asha Rao",
        "amount": 10_00,
        "pin": PIN,
    }
    return str(holder.post("/withdrawals", body, expect_status=202).json()["id"])


def until_paid(holder: Holder, reference: str, seconds: float = 40) -> None:
    wait_for(
        lambda: holder.get(f"/withdrawals/{reference}")["status"],
        lambda status: status == "succeeded",
        "the withdrawal is paid",
        seconds=patience(seconds),
    )


def test_everything_goes_on_without_redis_withdrawals_too(
    stack: Stack,
    bank: SimulatedBank,
    person: Callable[..., Holder],
    prove: Callable[[], None],
    redis_is_back_afterwards: None,
) -> None:
    asha, bela, gone = person("Asha"), person("Bela"), person("Gone")
    assert gone.request("POST", "/auth/logout").status_code == 204
    stack.stop_process("redis")

    body = {"to": bela.wallet_id, "amount": 100_00, "pin": PIN}
    first = asha.post("/transfers", body, expect_status=201, key="k")
    again = asha.post("/transfers", body, expect_status=201, key="k")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert bela.balance()["balance"] == 1100_00

    newcomer = person("New")
    credentials = {"email": newcomer.profile["email"], "password": newcomer.password}
    assert newcomer.request("POST", "/auth/login", json=credentials).status_code == 200
    assert gone.request("GET", "/wallet").status_code == 401, "signed out stays signed out"

    asked = asha.post("/on-ramps", {"bank": "hdfc", "amount": 250_00}, expect_status=201).json()
    bank.approve(asked["redirect_url"])
    wait_for(
        lambda: asha.get(f"/on-ramps/{asked['id']}")["status"],
        lambda status: status == "success",
        "the webhook settles",
        seconds=patience(),
    )
    until_paid(asha, withdraw(asha))  # no hint arrives: the worker's own sweep finds it
    stack.start_process("redis")
    assert asha.balance() == {"balance": 1140_00, "held": 0, "available": 1140_00}
    prove()


@pytest.fixture
def redis_accepts_writes_afterwards(stack: Stack) -> Iterator[Redis]:
    with Redis.from_url(stack.environment()["BATUA_REDIS_URL"]) as redis:
        bound = redis.config_get("maxmemory")["maxmemory"]
        yield redis
        redis.config_set("maxmemory", bound)
        redis.replicaof("NO", "ONE")


def test_a_broker_that_refuses_writes_ends_no_worker(
    stack: Stack, person: Callable[..., Holder], redis_accepts_writes_afterwards: Redis, prove: Callable[[], None]
) -> None:
    redis, asha = redis_accepts_writes_afterwards, person("Asha")
    redis.replicaof("127.0.0.1", "1")  # while the worker waits for a message
    until_paid(asha, withdraw(asha))
    redis.replicaof("NO", "ONE")
    stack.stop_process("withdraw_worker")
    redis.config_set("maxmemory", 1)  # before it connects
    stack.start_process("withdraw_worker")
    until_paid(asha, withdraw(asha))

    def log() -> str:
        return stack.layout.log_file("withdraw_worker").read_text(encoding="utf-8")

    tried = log().count("Cannot connect to")
    eventually(lambda: log().count("Cannot connect to") >= tried + 10, "the worker has tried to connect ten times")
    assert "Unrecoverable" not in log()
    assert sum(client["cmd"] == "set" for client in redis.client_list()) < 5, "each attempt closes its connections"
    prove()


def test_a_flushed_redis_forgets_nothing_that_matters(
    stack: Stack, person: Callable[..., Holder], prove: Callable[[], None]
) -> None:
    asha, bela, gone = person("Asha"), person("Bela"), person("Gone")
    redis = Redis.from_url(stack.environment()["BATUA_REDIS_URL"])
    assert gone.request("POST", "/auth/logout").status_code == 204
    body = {"to": bela.wallet_id, "amount": 100_00, "pin": PIN}
    first = asha.post("/transfers", body, expect_status=201, key="k")
    reference = withdraw(asha)
    redis.flushall()

    again = asha.post("/transfers", body, expect_status=201, key="k")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    other = asha.request("POST", "/transfers", json=body | {"amount": 1}, headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert gone.request("GET", "/wallet").status_code == 401
    until_paid(asha, reference)
    assert asha.balance()["balance"] == 890_00
    redis.close()
    prove()
