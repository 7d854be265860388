"""One payout call from arrival to answer, with the faults that strike it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from services.dummy_bank import call_log, payouts
from services.dummy_bank.errors import BankError, bank_is_down, internal_error
from services.dummy_bank.settings import BankProfile
from services.dummy_bank.simulator import Simulator
from shared.banks.messages import PayoutAnswer, PayoutRequest

HangUp = Callable[[], Coroutine[Any, Any, None]]
"""Makes a coroutine that ends when the caller hangs up."""

REFUSED_STATUS = 422


async def answer_payout(
    simulator: Simulator, profile: BankProfile, asked: PayoutRequest, hang_up: HangUp, traceparent: str | None = None
) -> PayoutAnswer:
    """Log the call, do the work, answer. Raises BankError: 4xx is a final refusal, 5xx leaves the outcome open."""
    with simulator.database.transaction() as connection:
        number = call_log.begin(connection, profile.code, asked, traceparent)
    outcome = "interrupted"
    try:
        answer = await _process(simulator, profile, asked, hang_up)
        outcome = answer.status.lower()
    except BankError as error:
        outcome = error.code.lower()
        raise
    finally:
        with simulator.database.transaction() as connection:
            call_log.end(connection, number, outcome)
        simulator.metrics.payout_calls.labels(profile.code, outcome).inc()
    return answer


async def _process(simulator: Simulator, profile: BankProfile, asked: PayoutRequest, hang_up: HangUp) -> PayoutAnswer:
    bank = profile.code
    if simulator.faults.of(bank).hold_at == "before_work":
        are_faults_changed = await simulator.wait_for_other_faults(bank, hang_up())
        if not are_faults_changed:
            raise BankError(503, "HELD_BEFORE_WORK", "The call was held and then given up; nothing was done.")
    faults = simulator.faults.of(bank)
    if faults.down:
        raise bank_is_down()
    number, earlier = None, None
    with simulator.database.transaction() as connection:
        plan = payouts.draw_plan(connection, bank, faults)
        if not plan.fails_before_work:
            earlier = payouts.earlier_answer(connection, bank, asked) if faults.idempotency else None
            number = None if earlier else payouts.accept(connection, bank, asked, plan, faults)
    await asyncio.sleep(plan.latency_seconds)
    if earlier:
        # The first call was perhaps still at work when this one came in, and is done by now.
        with simulator.database.transaction() as connection:
            return _answer_or_refuse(payouts.earlier_answer(connection, bank, asked) or earlier)
    if number is None:
        raise internal_error()
    if plan.answers_later:
        return PayoutAnswer(status="PROCESSING", reference=asked.reference, amount=asked.amount)
    with simulator.database.transaction() as connection:
        answer = payouts.pay_or_refuse(connection, profile, faults, number, with_notice=False)
    simulator.wake()
    await _wait_after_work(simulator, bank, plan, hang_up)
    return _answer_or_refuse(answer)


async def _wait_after_work(simulator: Simulator, bank: str, plan: payouts.Plan, hang_up: HangUp) -> None:
    if simulator.faults.of(bank).hold_at == "after_work":
        await simulator.wait_for_other_faults(bank, hang_up())
    if plan.hangs_after_work:
        await simulator.wait_for_first(hang_up(), timeout_seconds=simulator.settings.hang_seconds)
        raise BankError(504, "TIMEOUT_AFTER_WORK", "The bank took too long to answer.")


def _answer_or_refuse(answer: PayoutAnswer) -> PayoutAnswer:
    if answer.status == "FAILED":
        raise BankError(REFUSED_STATUS, answer.code or "REFUSED", answer.message or "The bank refused.")
    return answer
