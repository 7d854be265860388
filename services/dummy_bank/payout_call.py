"""One payout call from arrival to answer, with whatever the faults do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from services.dummy_bank import call_log, payouts
from services.dummy_bank.errors import BankSaysNo, bank_is_down, internal_error
from services.dummy_bank.settings import BankProfile
from services.dummy_bank.simulator import Simulator
from shared.banks.messages import PayoutAnswer, PayoutRequest

CallerGone = Callable[[], Coroutine[Any, Any, None]]
"""Makes something to wait for that ends when the caller has hung up."""

REFUSED_STATUS = 422


async def answer_payout(
    simulator: Simulator, profile: BankProfile, asked: PayoutRequest, caller_gone: CallerGone
) -> PayoutAnswer:
    """Log the call, work, answer. Raises `BankSaysNo`: a 4xx is a final refusal, a 5xx leaves the outcome open."""
    with simulator.database.transaction() as connection:
        number = call_log.begin(connection, profile.code, asked)
    outcome = "interrupted"
    try:
        answer = await _work(simulator, profile, asked, caller_gone)
        outcome = answer.status.lower()
    except BankSaysNo as no:
        outcome = no.code.lower()
        raise
    finally:
        with simulator.database.transaction() as connection:
            call_log.end(connection, number, outcome)
        simulator.metrics.payout_calls.labels(profile.code, outcome).inc()
    return answer


async def _work(
    simulator: Simulator, profile: BankProfile, asked: PayoutRequest, caller_gone: CallerGone
) -> PayoutAnswer:
    bank = profile.code
    if simulator.faults.of(bank).hold_at == "before_work" and not await simulator.hold(bank, caller_gone()):
        raise BankSaysNo(503, "HELD_BEFORE_WORK", "The call was held and then given up; nothing was done.")
    faults = simulator.faults.of(bank)
    if faults.down:
        raise bank_is_down()
    with simulator.database.transaction() as connection:
        plan = payouts.draw_plan(connection, bank, faults)
        if plan.stumbles:
            number, earlier = None, None
        else:
            earlier = payouts.earlier(connection, bank, asked) if faults.idempotency else None
            number = None if earlier else payouts.accept(connection, bank, asked, plan, faults)
    await asyncio.sleep(plan.latency_seconds)
    if earlier:
        # Asked while the first call was at work: by now it may be further than when this one came in.
        with simulator.database.transaction() as connection:
            return _or_refused(payouts.earlier(connection, bank, asked) or earlier)
    if number is None:
        raise internal_error()
    if plan.later:
        return PayoutAnswer(status="PROCESSING", reference=asked.reference, amount=asked.amount)
    with simulator.database.transaction() as connection:
        answer = payouts.carry_out(connection, profile, faults, number, tell=False)
    simulator.wake()
    await _keep_waiting(simulator, bank, plan, caller_gone)
    return _or_refused(answer)


async def _keep_waiting(simulator: Simulator, bank: str, plan: payouts.Plan, caller_gone: CallerGone) -> None:
    if simulator.faults.of(bank).hold_at == "after_work":
        await simulator.hold(bank, caller_gone())
    if plan.hangs_after_work:
        await simulator.wait_for_any(caller_gone(), timeout_seconds=simulator.settings.hang_seconds)
        raise BankSaysNo(504, "TIMEOUT_AFTER_WORK", "The bank took too long to answer.")


def _or_refused(answer: PayoutAnswer) -> PayoutAnswer:
    if answer.status == "FAILED":
        raise BankSaysNo(REFUSED_STATUS, answer.code or "REFUSED", answer.message or "The bank refused.")
    return answer
