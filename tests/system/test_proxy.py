"""The proxy of the containers, for real: before stand-ins that behave as told, and before replicas of a whole stack."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from infra.demo.actors import PIN, Holder
from infra.local.layout import CHECKOUT
from infra.local.stack import Stack
from shared import clock
from shared.banks.notices import PaymentNotice
from shared.banks.signatures import sign
from shared.banks.table import BANKS
from shared.ids import new_token
from tests.support.deadlines import deadline
from tests.support.ports import free_ports
from tests.support.processes import Processes
from tests.support.proxy import APPS, CADDY, Proxy, StandIn, proxy_before, stand_in
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("system")]

BANK_ADDRESS, OTHER_ADDRESS = "127.0.0.5", "127.0.0.6"
FORGED_SECRET = "whsec_bm90IHRoZSBiYW5rJ3Mgc2VjcmV0LCBub3QgYXQgYWxs"
RETRIES = 10
HEADER_SECONDS, BODY_SECONDS = 1, 2
KEYED = {"Idempotency-Key": "a-key-0123456789"}


@pytest.fixture(scope="module", name="stand_ins")
def stand_ins_fixture() -> Iterator[tuple[StandIn, StandIn]]:
    with stand_in() as one, stand_in() as other:
        yield one, other


@pytest.fixture(scope="module", name="proxy")
def proxy_fixture(stand_ins: tuple[StandIn, StandIn], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """It waits for slow callers as long as in production: a machine that stands still may make one of any test."""
    ports = [replica.port for replica in stand_ins]
    with proxy_before(dict.fromkeys(APPS, ports), tmp_path_factory.mktemp("proxy")) as running:
        yield running


@pytest.fixture(scope="module", name="impatient_proxy")
def impatient_proxy_fixture(
    stand_ins: tuple[StandIn, StandIn], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    ports = [replica.port for replica in stand_ins]
    waits = {"PROXY_HEADER_SECONDS": str(HEADER_SECONDS), "PROXY_BODY_SECONDS": str(BODY_SECONDS)}
    with proxy_before(dict.fromkeys(APPS, ports), tmp_path_factory.mktemp("impatient"), waits) as running:
        yield running


@pytest.fixture(autouse=True)
def both_are_well(stand_ins: tuple[StandIn, StandIn], proxy: Proxy, request: pytest.FixtureRequest) -> None:
    """Each test begins with two replicas that are ready and that the proxy sends to."""
    for replica in stand_ins:
        replica.is_ready, replica.hangs_up = True, False
    with proxy.client("user_app") as client:

        def both_are_asked() -> bool:
            for replica in stand_ins:
                replica.seen.clear()
            for _ in range(6):
                client.get("/")
            return all(replica.seen for replica in stand_ins)

        eventually(both_are_asked, "the proxy sends to both replicas", seconds=30)
    for replica in stand_ins:
        replica.seen.clear()


def test_it_is_the_version_that_the_containers_run() -> None:
    tried = subprocess.run([str(CADDY), "version"], capture_output=True, text=True, check=True).stdout
    compose = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")
    assert f"image: caddy:{tried.split()[0].removeprefix('v')}-alpine@sha256:" in compose


def asked(*replicas: StandIn) -> list[tuple[str, str, bytes]]:
    """Method, path and body of what reached them."""
    return [(method, path, body) for replica in replicas for method, path, _, body in replica.seen]


def test_it_speaks_tls_only_and_shows_the_certificate_of_the_private_network(proxy: Proxy) -> None:
    with proxy.client("user_app") as client:
        assert client.get("/").status_code == 201
    answer = httpx.get(f"http://127.0.0.1:{proxy.ports['user_app']}/", trust_env=False, timeout=deadline())
    assert answer.status_code == 400
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://127.0.0.1:{proxy.ports['user_app']}/", trust_env=False, timeout=deadline())


def test_only_replicas_that_are_ready_are_asked(proxy: Proxy, stand_ins: tuple[StandIn, StandIn]) -> None:
    one, other = stand_ins
    other.is_ready = False
    with proxy.client("user_app") as client:

        def only_one_is_asked() -> bool:
            one.seen.clear()
            other.seen.clear()
            for _ in range(10):
                client.get("/")
            return len(one.seen) == 10 and not other.seen

        eventually(only_one_is_asked, "the replica that is not ready is left out", seconds=30)


@pytest.mark.parametrize(
    ("app", "method", "headers"),
    [
        ("user_app", "GET", {}),
        ("user_app", "POST", KEYED),
        ("merchant_app", "POST", KEYED),
        ("bank_webhook", "POST", {}),
    ],
)
def test_what_may_be_repeated_reaches_another_replica_when_the_first_ends_without_an_answer(
    proxy: Proxy, stand_ins: tuple[StandIn, StandIn], app: str, method: str, headers: dict[str, str]
) -> None:
    body = b"x" * 2000 if method == "POST" else b""
    with proxy.client(app) as client:
        for replica in stand_ins:
            replica.hangs_up = True
            for _ in stand_ins:  # they take turns
                answer = client.request(method, "/transfers", headers=headers, content=body)
                assert answer.status_code == 201
            replica.hangs_up = False
    reached = asked(*stand_ins)
    assert len(reached) > 4, "one of them had hung up"
    assert set(reached) == {(method, "/transfers", body)}, "what is repeated is whole"


def test_a_post_without_a_key_that_reached_a_replica_is_never_sent_again(
    proxy: Proxy, stand_ins: tuple[StandIn, StandIn]
) -> None:
    for replica in stand_ins:
        replica.hangs_up = True
    with proxy.client("user_app") as client:
        answers = [client.post("/sign-in", content=b"x") for _ in range(4)]
    assert {answer.status_code for answer in answers} == {502}, [answer.text for answer in answers]
    assert len(asked(*stand_ins)) == len(answers)


def test_callers_cannot_name_an_address(proxy: Proxy, stand_ins: tuple[StandIn, StandIn]) -> None:
    lies = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1", "X-Forwarded-Proto": "http"}
    with proxy.client("user_app", source=BANK_ADDRESS) as client:
        client.get("/", headers=lies)
    ((_, _, headers, _),) = [*stand_ins[0].seen, *stand_ins[1].seen]
    assert headers["x-forwarded-for"] == BANK_ADDRESS
    assert headers["x-forwarded-proto"] == "https"
    assert "forwarded" not in headers


@pytest.mark.parametrize(("app", "size"), [("bank_webhook", 64_001), ("merchant_app", 1_000_001)])
def test_a_body_that_is_too_large_reaches_no_replica_whole(
    proxy: Proxy, stand_ins: tuple[StandIn, StandIn], app: str, size: int
) -> None:
    with proxy.client(app) as client:
        answers = [client.post("/", content=b"x" * size) for _ in range(4)]
        assert not [answer for answer in answers if answer.is_success]
        assert len(asked(*stand_ins)) <= 4 * (1 + RETRIES)
        assert all(len(body) < size for _, _, body in asked(*stand_ins)), "no replica gets it whole"
        assert client.get("/").status_code == 201, "who sends too much takes no replica from others"


@pytest.mark.parametrize(
    "beginning",
    [b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"],
    ids=["head", "body"],
)
def test_a_request_that_never_ends_is_cut_off_and_reaches_no_replica(
    impatient_proxy: Proxy, stand_ins: tuple[StandIn, StandIn], beginning: bytes
) -> None:
    context = ssl.create_default_context(cafile=str(impatient_proxy.authority))
    began = time.monotonic()  # before the proxy begins to count
    with (
        socket.create_connection(("127.0.0.1", impatient_proxy.ports["user_app"]), timeout=deadline(30)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        secured.sendall(beginning)
        said = b"".join(iter(lambda: secured.recv(4096), b""))
    assert b" 201 " not in said
    assert not asked(*stand_ins)
    assert time.monotonic() - began >= HEADER_SECONDS * 0.9, "it is not refused for another reason"


@pytest.fixture(scope="module", name="replicas")
def replicas_fixture(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Processes]]]:
    """Two more of user_app, as one will die, and one of bank_webhook, on the stack's stores. They believe the proxy."""
    logs = tmp_path_factory.mktemp("replicas")
    trust = {
        "BATUA_TRUSTED_PROXIES": "127.0.0.1/32",
        **{f"BATUA_BANK_{bank.upper()}_WEBHOOK_NETWORKS": f"{BANK_ADDRESS}/32" for bank in BANKS},
    }
    found: dict[str, list[Processes]] = {}
    with ExitStack() as cleanup:
        for name, count in (("user_app", 2), ("bank_webhook", 1)):
            for number in range(1, count + 1):
                port, metrics_port = free_ports(2)
                replica = Processes(
                    name,
                    port=port,
                    metrics_port=metrics_port,
                    count=1,
                    environment=stack.environment(name) | trust,
                    log=logs / f"{name}_{number}.log",
                )
                cleanup.callback(replica.kill_all)
                found.setdefault(name, []).append(replica)
        for replica in (each for replicas in found.values() for each in replicas):
            replica.started()
        yield found


@pytest.fixture(scope="module", name="entrance")
def entrance_fixture(replicas: dict[str, list[Processes]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    ports = {name: [replica.port for replica in each] for name, each in replicas.items()}
    with proxy_before(ports, tmp_path_factory.mktemp("entrance")) as running:
        yield running


def test_the_webhook_knows_the_bank_behind_the_proxy_by_its_address(entrance: Proxy) -> None:
    body = BANKS["hdfc"].encode(PaymentNotice("hdfc", "success", "no-token", new_token(), 100, "no-reference"))
    headers = sign(FORGED_SECRET, f"msg_{new_token()}", clock.now(), body) | {"content-type": "application/json"}
    lies = {"X-Forwarded-For": BANK_ADDRESS, "Forwarded": f"for={BANK_ADDRESS}"}
    with entrance.client("bank_webhook", source=BANK_ADDRESS) as bank:
        eventually(lambda: bank.get("/readyz").is_success, "a replica is ready", seconds=60)
        assert bank.post("/webhooks/hdfc", content=body, headers=headers).status_code == 401, (
            "the signature is looked at"
        )
    with entrance.client("bank_webhook", source=OTHER_ADDRESS) as other:
        assert other.post("/webhooks/hdfc", content=body, headers=headers).status_code == 403
        assert other.post("/webhooks/hdfc", content=body, headers=headers | lies).status_code == 403


def test_keyed_transfers_survive_the_death_of_a_replica_and_each_happens_once(
    stack: Stack, entrance: Proxy, replicas: dict[str, list[Processes]], person: Callable[..., Holder]
) -> None:
    alice, bob = person("Alice", "Rao"), person("Bob", "Khan")
    had = alice.balance()["balance"]
    headers = {"Authorization": f"Bearer {alice.token}"}
    with entrance.client("user_app") as client:
        eventually(lambda: client.get("/readyz").is_success, "a replica is ready", seconds=60)

        def send(number: int) -> int:
            body = {"to": bob.wallet_id, "amount": 100 + number, "pin": PIN}
            keyed = headers | {"Idempotency-Key": new_token()}
            if number == 10:
                os.kill(replicas["user_app"][0].process.pid, signal.SIGKILL)
            return client.post("/api/v1/transfers", json=body, headers=keyed).status_code

        with ThreadPoolExecutor(4) as callers:
            statuses = list(callers.map(send, range(40)))
    assert statuses == [201] * 40
    assert alice.balance()["balance"] == had - sum(100 + number for number in range(40))
