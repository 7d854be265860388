"""What a filtered statement adds up to: the sums of its very lines, or none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared import clock
from shared.db.engine import SessionMaker
from shared.db.reads import Reads
from shared.ids import new_id
from shared.ledger import statement
from shared.ledger.errors import AccountNotFound
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer, TransferKind
from shared.ledger.statement import EVERYTHING, Filter, Line
from shared.ledger.statement_totals import StatementTotals, read_totals
from shared.models import Account
from tests.support import factories

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def asha(sessionmaker: SessionMaker) -> Account:
    """Sends and receives one amount after the other, a second apart; each amount is another bit."""
    async with sessionmaker.begin() as session:
        with clock.reading(lambda: NOON - timedelta(days=1)):
            asha = await factories.create_user(session, first_name="Asha", balance=1000)
            ravi = await factories.create_user(session, first_name="Ravi", balance=1000)
    for place in range(8):
        debit, credit = (asha, ravi) if place % 3 else (ravi, asha)
        kind: TransferKind = "payment" if place % 2 else "p2p"
        note = "chai" if place > 4 else None
        transfer = Transfer(new_id(), kind, debit.id, credit.id, 2**place, note=note)
        at = NOON + place * SECOND
        async with sessionmaker.begin() as session:
            with clock.reading(lambda at=at: at):  # type: ignore[misc]
                await post_one(session, transfer)
    return asha


async def totals(sessionmaker: SessionMaker, account: Account, wanted: Filter) -> StatementTotals | None:
    assert account.owner_id is not None
    async with sessionmaker() as session:
        return await read_totals(session, account.id, owner_id=account.owner_id, wanted=wanted)


async def sums_of_lines(sessionmaker: SessionMaker, account_id: UUID, wanted: Filter) -> tuple[int, int]:
    reads = Reads(sessionmaker.kw["bind"])
    lines = [line async for line in statement.stream(reads, account_id, wanted=wanted) if isinstance(line, Line)]
    money_in = sum(line.amount for line in lines if line.direction == "CREDIT")
    return money_in, sum(line.amount for line in lines) - money_in


@pytest.mark.parametrize(
    "wanted",
    [
        EVERYTHING,
        Filter(since=NOON + 2 * SECOND, until=NOON + 5 * SECOND),
        Filter(since=NOON + 3 * SECOND),
        Filter(until=NOON + 3 * SECOND, direction="DEBIT"),
        Filter(kind="payment", since=NOON),
        Filter(search="CHAI"),
        Filter(search="ravi", kind="p2p", direction="CREDIT", since=NOON),
        Filter(since=NOON + timedelta(days=1)),
        Filter(search="nothing like it"),
    ],
    ids=str,
)
async def test_totals_are_the_sums_of_the_lines(sessionmaker: SessionMaker, asha: Account, wanted: Filter) -> None:
    found = await totals(sessionmaker, asha, wanted)
    assert found is not None
    assert (found.money_in, found.money_out) == await sums_of_lines(sessionmaker, asha.id, wanted)


async def test_a_range_at_the_bound_is_added_up_and_one_beyond_it_is_not(
    sessionmaker: SessionMaker, asha: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "SEARCH_LINES", 9)  # the opening balance is one
    assert await totals(sessionmaker, asha, EVERYTHING) is not None
    monkeypatch.setattr(statement, "SEARCH_LINES", 8)
    assert await totals(sessionmaker, asha, EVERYTHING) is None
    assert await totals(sessionmaker, asha, Filter(kind="p2p")) is None
    assert await totals(sessionmaker, asha, Filter(since=NOON + 6 * SECOND)) is not None


async def test_the_totals_of_another_owner_are_not_found(sessionmaker: SessionMaker, asha: Account) -> None:
    async with sessionmaker() as session:
        with pytest.raises(AccountNotFound):
            await read_totals(session, asha.id, owner_id=new_id(), wanted=EVERYTHING)
