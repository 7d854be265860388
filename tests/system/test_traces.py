"""One trace from the request for a withdrawal or an on-ramp to the bank and back, as a collector receives it."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from infra.demo.actors import PIN, Holder, SimulatedBank
from infra.local.stack import Stack
from shared.spans import Context
from tests.support.collector import Collector, Span
from tests.support.deadlines import deadline
from tests.support.observed_stack import collector, observed_stack
from tests.support.scraped_world import holding, withdraw
from tests.support.waiting import eventually
from tests.support.whole_stack import bank, person  # noqa: F401 - fixtures

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("observed")]

STRANGERS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(name="collector")
def collector_fixture() -> Collector:
    return collector()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, free_port_base: Callable[[], int]) -> Stack:
    return observed_stack(tmp_path_factory, free_port_base)


def the_one(spans: list[Span], name: str, **values: str) -> Span:
    """The only span of this name, and with these values."""
    (found,) = [span for span in spans if span.name == name and values.items() <= vars(span).items()]
    return found


def roots(spans: list[Span]) -> set[str]:
    """The parents that are not among these spans: "" alone once a trace is whole."""
    return {span.parent_id for span in spans} - {span.span_id for span in spans}


def whole_trace(collector: Collector, trace_id: str, wanted: set[str]) -> list[Span]:
    """Its spans, once those with these names are exported, and each one's parent. More may follow."""

    def whole() -> list[Span] | None:
        found = collector.of(trace_id)
        return found if wanted <= {span.name for span in found} and roots(found) == {""} else None

    # A span ends, and is exported, after the ones below it.
    return eventually(whole, f"{wanted} and every span's parent are exported", seconds=60)


def linked_root(collector: Collector, notice: Span) -> Span | None:
    """The call of the bank that a notice came with: it ends, and is exported, after the notice is settled."""
    found = [span for link in notice.links for span in collector.of(link) if span.parent_id == ""]
    assert len(found) <= 1
    return found[0] if found else None


def lines_of(stack: Stack, process: str, trace_id: str, **values: str) -> list[dict[str, Any]]:
    """Of a process's log, those of a trace that hold these values, once there is one: the supervisor writes the log."""

    def found() -> list[dict[str, Any]]:
        *lines, _unfinished = stack.layout.log_file(process).read_text(encoding="utf-8").split("\n")
        of_trace = [json.loads(line) for line in lines if trace_id in line and line.startswith("{")]
        return [line for line in of_trace if values.items() <= line.items()]

    return eventually(found, f"{process} logs a line of the trace with {values}", seconds=60)


def test_a_withdrawal_is_one_trace_from_the_request_to_the_banks_notice(
    stack: Stack,
    collector: Collector,
    person: Callable[..., Holder],  # noqa: F811
    bank: SimulatedBank,  # noqa: F811
) -> None:
    bank.misbehave(async_rate=1.0, async_delay_ms=100)
    asha = person()
    withdrawal_id = withdraw(asha)

    def ended() -> dict[str, Any] | None:
        found = asha.get(f"/withdrawals/{withdrawal_id}")
        return found if found["status"] == "succeeded" else None

    trace_id = eventually(ended, "the bank's notice has ended it", seconds=60)["trace_id"]
    wanted = {"POST /api/v1/withdrawals", "payout send", "bank pay", "record outcomes", "notice success"}
    spans = whole_trace(collector, trace_id, wanted)

    # Where the bank's answer came too late, there is an earlier call: the last one is the one that was answered.
    said = Context.read(bank.calls_for({withdrawal_id})[-1]["traceparent"])
    assert said is not None
    assert said.trace == trace_id, "the bank was told the trace"
    pay = the_one(spans, "bank pay", span_id=f"{said.span_id:016x}")
    send = the_one(spans, "payout send", span_id=pay.parent_id)
    request = the_one(spans, "POST /api/v1/withdrawals")
    assert (request.service, send.service, pay.service) == ("user_app", "withdraw_worker", "withdraw_worker")
    assert request.attributes["batua.withdrawal_id"] == send.attributes["batua.withdrawal_id"] == withdrawal_id
    assert request.attributes["http.response.status_code"] == 202
    assert send.parent_id == request.span_id
    assert request.parent_id == ""
    writes = [span for span in spans if span.name == "WITH" and span.service == "user_app"]
    assert any("post_to_ledger" in span.attributes["db.query.text"] for span in writes)

    notice = the_one(spans, "notice success")
    assert notice.service == "bank_webhook"
    webhook = eventually(lambda: linked_root(collector, notice), "the bank's call is exported", seconds=60)
    assert webhook.name == "POST /webhooks/{bank}"

    owner_id = asha.profile["id"]
    access = lines_of(stack, "user_app", trace_id, logger="batua.access")
    assert [(line["owner_id"], line["withdrawal_id"]) for line in access] == [(owner_id, withdrawal_id)]
    assert lines_of(stack, "withdraw_worker", trace_id, withdrawal_id=withdrawal_id)
    assert "50100012345678" not in str(collector.spans), "an account number is in no span"


def test_an_on_ramp_is_one_trace_from_the_request_to_the_banks_notice(
    stack: Stack,
    collector: Collector,
    person: Callable[..., Holder],  # noqa: F811
    bank: SimulatedBank,  # noqa: F811
) -> None:
    asha = person()
    started = asha.post("/on-ramps", {"bank": "hdfc", "amount": 200_00}, expect_status=201).json()
    bank.approve(started["redirect_url"])

    def ended() -> dict[str, Any] | None:
        found = asha.get(f"/on-ramps/{started['id']}")
        return found if found["status"] == "success" else None

    trace_id = eventually(ended, "the bank's notice has ended it", seconds=60)["trace_id"]
    assert trace_id == started["trace_id"]
    wanted = {"POST /api/v1/on-ramps", "bank open_session", "notice success"}
    spans = whole_trace(collector, trace_id, wanted)

    request, call, notice = (the_one(spans, name) for name in sorted(wanted))
    assert (request.service, call.service, notice.service) == ("user_app", "user_app", "bank_webhook")
    assert request.attributes["batua.on_ramp_id"] == notice.attributes["batua.on_ramp_id"] == started["id"]
    assert (notice.parent_id, notice.attributes["batua.verdict"]) == (request.span_id, "settled")
    webhook = eventually(lambda: linked_root(collector, notice), "the bank's call is exported", seconds=60)
    assert webhook.name == "POST /webhooks/{bank}"

    (line,) = lines_of(stack, "bank_webhook", trace_id)
    assert f"on-ramp {started['id']}: hdfc says success" in line["message"]
    page = asha.request("GET", f"{stack.url('user_app')}/on-ramps/{started['id']}")
    assert trace_id in page.text


def test_a_hint_over_the_broker_belongs_to_the_trace(
    collector: Collector,
    person: Callable[..., Holder],  # noqa: F811
) -> None:
    asha = person()
    trace_id = asha.get(f"/withdrawals/{withdraw(asha)}")["trace_id"]
    hint = "task batua.withdrawals.advance"
    eventually(lambda: hint in {span.name for span in collector.of(trace_id)}, "the hint is exported", seconds=60)


def test_a_problem_names_its_trace_and_a_stranger_names_none_of_ours(
    collector: Collector,
    person: Callable[..., Holder],  # noqa: F811
) -> None:
    asha = person()
    body = {"to": person().wallet_id, "amount": 9_000_00, "pin": PIN}
    headers = {"Idempotency-Key": "too-much", "traceparent": STRANGERS}
    refused = asha.request("POST", "/transfers", json=body, headers=headers)
    assert refused.status_code == httpx.codes.PAYMENT_REQUIRED
    trace_id = refused.json()["trace_id"]
    assert trace_id not in STRANGERS
    eventually(lambda: "POST /api/v1/transfers" in {s.name for s in collector.of(trace_id)}, "it is exported")
    assert the_one(collector.of(trace_id), "POST /api/v1/transfers").attributes["http.response.status_code"] == 402


def test_a_batch_of_the_ledger_belongs_to_one_request_and_names_the_others(
    stack: Stack,
    collector: Collector,
    person: Callable[..., Holder],  # noqa: F811
) -> None:
    payee = person()
    payers = [person() for _ in range(8)]
    lock = f"SELECT FROM accounts WHERE handle = '{payee.wallet_id.lower()}' FOR UPDATE"

    def pay(payer: Holder) -> None:
        payer.post("/transfers", {"to": payee.wallet_id, "amount": 1_00, "pin": PIN}, expect_status=201)

    earlier = len(collector.spans)

    def batches() -> list[Span]:
        return [span for span in collector.spans[earlier:] if span.name == "ledger batch" and span.links]

    def waiting() -> int:
        port = stack.environment("user_app")["BATUA_METRICS_PORT"]
        shown = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=deadline()).text
        (number,) = [line.split()[1] for line in shown.splitlines() if line.startswith("batua_transfers_waiting ")]
        return int(float(number))

    with ThreadPoolExecutor(len(payers)) as threads:
        with holding(stack, lock, application_name="a slow session"):
            paying = [threads.submit(pay, payer) for payer in payers]
            eventually(lambda: waiting() >= 3, "the transfers wait for the lock", seconds=60)
        for each in paying:
            each.result()
    batch = eventually(batches, "a batch of many requests is exported", seconds=60)[0]
    assert batch.attributes["batua.batch_size"] > 1
    assert batch.trace_id not in batch.links
    served = [batch.trace_id, *batch.links]
    route = "POST /api/v1/transfers"
    eventually(lambda: all(route in {s.name for s in collector.of(each)} for each in served), "so are the requests")
