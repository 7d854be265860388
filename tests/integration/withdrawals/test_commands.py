"""Request a withdrawal, cancel it, read it, and resolve one that needs review."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from infra.cli.main import app
from shared.config import MovementLimits
from shared.errors import BatuaError
from shared.http.keyed_requests import WITHDRAW
from shared.http.withdrawals import WithdrawalWithTimelineOut, shown_detail
from shared.idempotency.claims import Answer
from shared.idempotency.errors import IdempotencyKeyReused
from shared.idempotency.marks import Marks
from shared.ids import new_id
from shared.ledger.errors import InsufficientFunds, LimitExceeded
from shared.models import Account
from shared.operators.lookups import under_review as under_review_now
from shared.withdrawals import commands
from shared.withdrawals.errors import (
    AlreadySent,
    BankBeingAsked,
    NotUnderReview,
    TooManyQueued,
    WithdrawalInvalid,
    WithdrawalNotFound,
)
from shared.withdrawals.facts import Paid, PayoutRefused
from shared.withdrawals.queries import get_withdrawal, list_withdrawals
from shared.withdrawals.views import WithdrawalDetail
from tests.support.number_keys import NUMBER_KEYS
from tests.support.withdrawal_world import ACCOUNT_NUMBER, World, owner_of, past

GOOD = {"bank": "hdfc", "account_number": ACCOUNT_NUMBER, "ifsc": "HDFC0001234", "account_holder": "Asha Rao"}
GENEROUS = MovementLimits()


async def ask_with_key(
    world: World, wallet: Account, key: str = "one", limits: MovementLimits = GENEROUS, **changed: Any
) -> Answer:
    body: dict[str, Any] = {**GOOD, "amount": 100_00, **changed}
    request = WITHDRAW.request(owner_of(wallet), key)
    return await commands.request(
        request,
        sessionmaker=world.sessionmaker,
        marks=Marks(world.sessionmaker),
        number_keys=NUMBER_KEYS,
        limits=limits,
        max_unfinished=100,
        requires_verified_email=False,
        **body,
    )


async def cancel(world: World, wallet: Account, withdrawal_id: UUID) -> dict[str, Any]:
    async with world.sessionmaker.begin() as session:
        return shown(await commands.cancel(session, owner_id=owner_of(wallet), withdrawal_id=withdrawal_id))


async def look(world: World, wallet: Account, withdrawal_id: UUID) -> dict[str, Any]:
    async with world.sessionmaker() as session:
        return shown(await get_withdrawal(session, owner_id=owner_of(wallet), withdrawal_id=withdrawal_id))


def shown(detail: WithdrawalDetail) -> dict[str, Any]:
    """As the API shows it."""
    return WithdrawalWithTimelineOut.model_validate(shown_detail(detail)).model_dump(mode="json")


async def test_a_request_holds_the_money_and_queues_the_withdrawal(world: World) -> None:
    wallet = await world.person(1_000_00)
    answer = await ask_with_key(world, wallet)
    assert answer.status == 202
    shown = {name: answer.body[name] for name in ("status", "position", "waiting_for", "account_number", "amount")}
    assert shown == {
        "status": "queued",
        "position": 1,
        "waiting_for": "worker",
        "account_number": "XXXXXX1234",
        "amount": 100_00,
    }
    assert ACCOUNT_NUMBER not in str(answer.body)
    assert await world.money(wallet) == (1_000_00, 100_00)


async def test_the_same_key_holds_once_and_answers_the_same(world: World) -> None:
    wallet = await world.person(1_000_00)
    first = await ask_with_key(world, wallet)
    again = await ask_with_key(world, wallet)
    assert (again.body, again.is_replayed) == (first.body, True)
    assert await world.money(wallet) == (1_000_00, 100_00)
    with pytest.raises(IdempotencyKeyReused):
        await ask_with_key(world, wallet, amount=200_00)


async def test_what_is_held_cannot_be_withdrawn_again(world: World) -> None:
    wallet = await world.person(150_00)
    await ask_with_key(world, wallet, "one")
    with pytest.raises(InsufficientFunds):
        await ask_with_key(world, wallet, "two")
    assert await world.money(wallet) == (150_00, 100_00)


async def test_twenty_at_once_hold_no_more_than_there_is(world: World) -> None:
    wallet = await world.person(500_00)
    asked = (ask_with_key(world, wallet, str(number)) for number in range(10))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 5
    assert await world.money(wallet) == (500_00, 500_00)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bank", "icici"),
        ("account_number", "12345"),
        ("account_number", "1234567890123456789"),
        ("account_number", "12345678a"),
        ("account_number", "१२३४५६७८"),
        ("ifsc", "hdfc0001234"),
        ("ifsc", "HDFC1001234"),
        ("ifsc", "HDFC000123"),
        ("ifsc", "UTIB0001234"),
        ("account_holder", "   "),
        ("account_holder", "A\nB"),
        ("account_holder", "A" * 101),
        ("amount", 0),
        ("amount", 10_000_000_01),
    ],
)
async def test_what_cannot_be_sent_to_a_bank_is_rejected_at_once(world: World, field: str, value: Any) -> None:
    wallet = await world.person()
    with pytest.raises(WithdrawalInvalid) as refused:
        await ask_with_key(world, wallet, **{field: value})
    assert [error.field for error in refused.value.errors] == [field]
    assert ACCOUNT_NUMBER not in str(refused.value)
    assert await world.money(wallet) == (1_000_00, 0)


async def test_a_queue_is_bounded(world: World) -> None:
    world.max_unfinished = 2
    wallet = await world.person()
    await world.ask(wallet)
    await world.ask(wallet)
    with pytest.raises(TooManyQueued) as refused:
        await world.ask(wallet)
    assert refused.value.retry_after_seconds > 0
    await world.engine.advance(owner_of(wallet), max_calls=1)
    await world.ask(wallet)


async def test_cancelling_releases_the_money_and_the_next_one_moves_up(world: World) -> None:
    wallet = await world.person(1_000_00)
    first, second = await world.ask(wallet), await world.ask(wallet)
    shown = await cancel(world, wallet, first)
    assert (shown["status"], shown["position"], shown["waiting_for"]) == ("cancelled", None, None)
    assert [line["kind"] for line in shown["timeline"]] == ["queued", "cancelled"]
    assert await world.money(wallet) == (1_000_00, 100_00)
    assert await cancel(world, wallet, first) == shown
    await world.engine.advance(owner_of(wallet))
    assert (await world.row(second)).status == "succeeded"
    assert world.calls(first) == []


async def test_a_withdrawal_that_left_the_queue_cannot_be_cancelled(world: World) -> None:
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet)
    await world.engine.next_call(owner_of(wallet))
    with pytest.raises(AlreadySent):
        await cancel(world, wallet, withdrawal)
    assert await world.money(wallet) == (1_000_00, 100_00)


async def test_cancelling_and_sending_at_once_do_one_of_the_two(world: World) -> None:
    for _ in range(10):
        wallet = await world.person(100_00)
        withdrawal = await world.ask(wallet)
        await asyncio.gather(
            cancel(world, wallet, withdrawal), world.engine.advance(owner_of(wallet)), return_exceptions=True
        )
        row = await world.row(withdrawal)
        assert (row.status, len(world.calls(withdrawal))) in [("cancelled", 0), ("succeeded", 1)]
        assert await world.money(wallet) == ((100_00, 0) if row.status == "cancelled" else (0, 0))


async def test_a_withdrawal_of_another_owner_is_not_found(world: World) -> None:
    withdrawal = await world.ask(await world.person())
    stranger = await world.person()
    for attempt in (look, cancel):
        for withdrawal_id in (withdrawal, new_id()):
            with pytest.raises(WithdrawalNotFound):
                await attempt(world, stranger, withdrawal_id)
    async with world.sessionmaker() as session:
        assert await list_withdrawals(session, owner_id=owner_of(stranger), limit=10) == ([], None)


async def test_a_queue_shows_positions_and_what_each_one_waits_for(world: World) -> None:
    wallet = await world.person()
    first, second, third = [await world.ask(wallet) for _ in range(3)]
    await world.engine.next_call(owner_of(wallet))
    shown = [await look(world, wallet, withdrawal) for withdrawal in (first, second, third)]
    assert [(one["position"], one["waiting_for"]) for one in shown] == [
        (1, "bank_answer"),
        (2, "earlier_withdrawal"),
        (3, "earlier_withdrawal"),
    ]
    assert shown[0]["next_check_at"] is None
    await world.change(first, status="waiting", next_attempt_at=past(0))
    waiting = await look(world, wallet, first)
    assert waiting["waiting_for"] == "bank_available"
    assert waiting["next_check_at"] is not None


async def test_a_timeline_says_in_words_what_happened(world: World) -> None:
    wallet = await world.person()
    withdrawal = await world.ask(wallet)
    await world.engine.advance(owner_of(wallet))
    shown = await look(world, wallet, withdrawal)
    assert [line["message"] for line in shown["timeline"]] == [
        "In the queue",
        "Being sent to HDFC Bank",
        "Paid out by HDFC Bank",
    ]
    assert shown["timeline"][-1]["facts"] == {"utr": shown["utr"]}
    assert ACCOUNT_NUMBER not in str(shown)


async def test_a_list_is_read_page_by_page_newest_first(world: World) -> None:
    wallet = await world.person()
    withdrawals = [str(await world.ask(wallet, 1_00)) for _ in range(5)]
    await world.engine.advance(owner_of(wallet), max_calls=1)
    pages, before = [], None
    while True:
        async with world.sessionmaker() as session:
            items, before = await list_withdrawals(session, owner_id=owner_of(wallet), limit=2, before=before)
        pages.append([str(item.id) for item in items])
        if before is None:
            break
    assert pages == [withdrawals[4:2:-1], withdrawals[2:0:-1], withdrawals[0:1]]


async def under_review(world: World) -> tuple[Account, UUID]:
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet, 100_00)
    await world.engine.next_call(owner_of(wallet))
    await world.change(withdrawal, status="needs_review", lease_id=None, lease_expires_at=None)
    return wallet, withdrawal


async def decide_by_hand(world: World, withdrawal_id: UUID, fact: Paid | PayoutRefused) -> str:
    async with world.sessionmaker.begin() as session:
        return await commands.resolve(session, withdrawal_id=withdrawal_id, fact=fact)


@pytest.mark.parametrize(
    ("fact", "status", "money"),
    [(Paid("UTR9"), "succeeded", (900_00, 0)), (PayoutRefused("asked the bank"), "failed", (1_000_00, 0))],
)
async def test_an_operator_resolves_a_withdrawal_under_review(world: World, fact: Any, status: str, money: Any) -> None:
    wallet, withdrawal = await under_review(world)
    async with world.sessionmaker() as session:
        assert withdrawal in [found["id"] for found in await under_review_now(session)]
    assert await decide_by_hand(world, withdrawal, fact) == status
    assert await world.money(wallet) == money
    assert (await world.kinds(withdrawal))[-1] in ("resolved_paid", "resolved_failed")
    with pytest.raises(NotUnderReview):
        await decide_by_hand(world, withdrawal, fact)


async def test_an_operator_waits_for_a_call_under_way(world: World) -> None:
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet, 100_00)
    call = await world.engine.next_call(owner_of(wallet))
    assert call is not None
    await world.receive_notice(withdrawal, "success", amount=1_00)
    assert (await world.row(withdrawal)).status == "needs_review"
    with pytest.raises(BankBeingAsked):
        await decide_by_hand(world, withdrawal, PayoutRefused("asked the bank"))
    await world.engine.record(call, await world.engine.make(call))
    assert (await world.row(withdrawal)).status == "succeeded"
    assert await world.money(wallet) == (900_00, 0)


async def test_an_operator_need_not_wait_for_a_dead_worker(world: World) -> None:
    _, withdrawal = await under_review(world)
    await world.change(withdrawal, lease_id=new_id(), lease_expires_at=past(1))
    assert await decide_by_hand(world, withdrawal, PayoutRefused("asked the bank")) == "failed"


async def test_an_operator_resolves_no_other_withdrawal(world: World) -> None:
    withdrawal = await world.ask(await world.person())
    with pytest.raises(NotUnderReview):
        await decide_by_hand(world, withdrawal, Paid("UTR9"))
    with pytest.raises(WithdrawalNotFound):
        await decide_by_hand(world, new_id(), Paid("UTR9"))


async def test_every_error_has_a_code_and_a_sentence(world: World) -> None:
    errors: list[BatuaError] = [
        AlreadySent("in_flight"),
        BankBeingAsked(),
        NotUnderReview("queued"),
        WithdrawalInvalid({"ifsc": "bad"}),
    ]
    assert all(error.detail and error.code for error in errors)


@pytest.fixture
def batua(fresh_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """The command, run on a thread because it brings an event loop of its own."""
    monkeypatch.setenv("BATUA_DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("BATUA_HOME", str(tmp_path))

    async def run(*arguments: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, app, ["withdrawals", *arguments])

    return run


async def test_the_command_lists_those_under_review(world_alone: World, batua: Any) -> None:
    assert "No withdrawal needs review" in (await batua("list-review")).output
    _, withdrawal = await under_review(world_alone)
    listed = await batua("list-review")
    assert str(withdrawal) in listed.output
    assert "XXXXXX1234" in listed.output


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--paid"],
        ["--failed"],
        ["--paid", "--utr", "U"],
        ["--paid", "--utr", "U", "--failed", "--reason", "r"],
        ["--paid", "--reason", "r"],
    ],
)
async def test_the_command_wants_one_decision_with_its_reason(batua: Any, options: list[str]) -> None:
    assert (await batua("resolve", str(new_id()), *options)).exit_code == 2


async def test_withdrawals_at_once_never_pass_the_limit_of_a_day(world: World) -> None:
    wallet = await world.person(balance=1_000_00)
    limits = MovementLimits(withdrawal_per_day_paise=250_00)
    storm = [ask_with_key(world, wallet, f"{number}", limits) for number in range(8)]
    outcomes = await asyncio.gather(*storm, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, LimitExceeded)]
    assert len(refused) == 6
    assert {(error.limit, error.used, error.remaining) for error in refused} == {("withdrawal_per_day", 200_00, 50_00)}


async def test_cancelled_money_can_be_withdrawn_again_the_same_day(world: World) -> None:
    wallet = await world.person(balance=1_000_00)
    limits = MovementLimits(withdrawal_per_day_paise=100_00)
    first = await ask_with_key(world, wallet, "one", limits)
    with pytest.raises(LimitExceeded):
        await ask_with_key(world, wallet, "two", limits)
    await cancel(world, wallet, UUID(first.body["id"]))
    assert (await ask_with_key(world, wallet, "two", limits)).status == 202


async def test_a_withdrawal_may_not_be_larger_than_the_limit_on_one(world: World) -> None:
    wallet = await world.person(balance=1_000_00)
    with pytest.raises(LimitExceeded) as refused:
        await ask_with_key(world, wallet, limits=MovementLimits(withdrawal_per_movement_paise=99_99))
    assert (refused.value.limit, refused.value.resets_at) == ("withdrawal_per_movement", None)
