"""However a sequence of instructions is split into batches, the books are the same: the law of the rules, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.direct import direct_connection
from shared.db.engine import SessionMaker
from shared.errors import BatuaError
from shared.idempotency.claims import Answer, claim_for
from shared.ids import new_id
from shared.ledger.post import Instruction, InstructionOutcome, Replayed, post_instructions
from shared.ledger.rules import CaptureHold, Command, PlaceHold, Rejected, ReleaseHold, Transfer
from shared.models import Account
from tests.support.factories import create_merchant, create_user

PEOPLE, HOLDS, KEYS, PAID = 3, 3, 5, 40

people = st.integers(0, PEOPLE - 1)
holds = st.integers(0, HOLDS - 1)
amounts = st.integers(1, 60)
moves = st.one_of(
    st.tuples(st.just("send"), people, people, amounts),
    st.tuples(st.just("refund"), people, people, amounts),
    st.tuples(st.just("hold"), people, holds, amounts),
    st.tuples(st.just("capture"), people, holds, amounts),
    st.tuples(st.just("release"), people, holds, amounts),
)
Move = tuple[str, int, int, int]
requests = st.lists(st.tuples(st.integers(0, KEYS - 1), moves), min_size=1, max_size=14)


class World:
    """The same people with the same money, each time anew."""

    def __init__(self, accounts: Sequence[Account], payment: UUID) -> None:
        self.accounts = accounts
        self.payment = payment
        self.holds = [new_id() for _ in range(HOLDS)]

    def command(self, move: Move) -> Command:
        kind, first, second, amount = move
        account = self.accounts[first]
        match kind:
            case "send":
                return Transfer(new_id(), "p2p", account.id, self.accounts[second].id, amount)
            case "refund":  # of the payment that the second person made to the first
                buyer, shop = self.accounts[1], self.accounts[0]
                return Transfer(new_id(), "refund", shop.id, buyer.id, amount, reverses=self.payment)
            case "hold":
                return PlaceHold(self.holds[second], account.id, amount)
            case "capture":
                paid_to = self.accounts[(first + 1) % PEOPLE]
                return CaptureHold(self.holds[second], Transfer(new_id(), "payout", account.id, paid_to.id, amount))
            case _:
                return ReleaseHold(self.holds[second], account.id)

    def instruction(self, key: int, move: Move) -> Instruction:
        owner_id = self.accounts[move[1]].owner_id
        assert owner_id is not None
        claim = claim_for(owner_id, f"k{key}", method="POST", route="/", body={"move": list(move)})
        return Instruction(self.command(move), claim, lambda posted: Answer(201, {"entries": len(posted.entries)}))

    async def books(self, connection: asyncpg.Connection) -> list[Any]:
        """All that was written, by the place of its account instead of its id."""
        seen: list[Any] = []
        for account in self.accounts:
            seen.append(
                tuple(await connection.fetchrow("SELECT balance, held, seq FROM accounts WHERE id = $1", account.id))
            )
            seen += map(
                tuple,
                await connection.fetch(
                    "SELECT seq, direction, amount, balance_after FROM entries WHERE account_id = $1 ORDER BY seq",
                    account.id,
                ),
            )
            seen += map(
                tuple,
                await connection.fetch(
                    "SELECT key, fingerprint, status, body FROM idempotency_keys WHERE owner_id = $1 ORDER BY key",
                    account.owner_id,
                ),
            )
        seen += [
            tuple(row)
            for hold in self.holds
            for row in await connection.fetch("SELECT amount, status FROM holds WHERE id = $1", hold)
        ]
        return seen


async def new_world(sessionmaker: SessionMaker, engine: AsyncEngine) -> World:
    async with sessionmaker.begin() as session:
        accounts = [await create_merchant(session, balance=100)]
        accounts += [await create_user(session, balance=100) for _ in range(PEOPLE - 1)]
    payment = Transfer(new_id(), "payment", accounts[1].id, accounts[0].id, PAID)
    await post_batch(engine, [Instruction(payment)])
    return World(accounts, payment.id)


async def post_batch(engine: AsyncEngine, batch: Sequence[Instruction]) -> list[InstructionOutcome]:
    async with direct_connection(engine) as connection, connection.transaction():
        return await post_instructions(connection, batch)


def told(outcome: InstructionOutcome) -> object:
    match outcome:
        case Rejected(error=error):
            return facts_of(error)
        case Replayed(answer=answer):
            return answer.body
        case _:
            return {"entries": len(outcome.entries)}


def facts_of(error: BatuaError) -> tuple[str, dict[str, Any]]:
    return error.code, error.facts()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests, st.lists(st.integers(1, 6), min_size=14, max_size=14))
async def test_any_split_into_batches_writes_the_same_books(
    sessionmaker: SessionMaker, engine: AsyncEngine, asked: list[tuple[int, Move]], sizes: list[int]
) -> None:
    one_by_one, in_batches = await new_world(sessionmaker, engine), await new_world(sessionmaker, engine)
    single = [await post_batch(engine, [one_by_one.instruction(*each)]) for each in asked]
    waiting, gathered = [in_batches.instruction(*each) for each in asked], []
    for size in sizes:
        batch, waiting = waiting[:size], waiting[size:]
        gathered += await post_batch(engine, batch)
    assert [told(outcome) for outcome in gathered] == [told(outcomes[0]) for outcomes in single]
    async with direct_connection(engine) as connection:
        assert await in_batches.books(connection) == await one_by_one.books(connection)
