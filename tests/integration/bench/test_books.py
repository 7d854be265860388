"""What a benchmark measures on are valid books, though they are written in bulk."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from bench.books import RICH, load_payments
from shared import clock
from shared.db.engine import SessionMaker
from shared.inflow.commands import roll_up_all
from shared.inflow.rollups import inflow_between
from shared.models import Account, Entry
from shared.proof.prove import prove
from tests.support.factories import create_merchant, create_user


async def test_loaded_payments_prove_and_go_on_where_the_accounts_stood(
    fresh_database_url: str, fresh_sessionmaker: SessionMaker
) -> None:
    async with fresh_sessionmaker.begin() as session:
        shops = [(await create_merchant(session, balance=700)).id for _ in range(2)]
        buyers = [(await create_user(session, balance=RICH)).id for _ in range(3)]
    for shop, payments in ((shops[0], 50), (shops[1], 200), (shops[0], 25)):
        await load_payments(fresh_database_url, shop=shop, buyers=buyers, payments=payments, days=20)
        await roll_up_all(fresh_sessionmaker)

    report = await prove(fresh_sessionmaker)
    assert report.ok, report.failed
    now = clock.now()
    async with fresh_sessionmaker() as session:
        inflow = [await inflow_between(session, shop, [now - timedelta(days=21), now]) for shop in shops]
        balances = [(await session.get_one(Account, shop)).balance for shop in shops]
        oldest, newest = (await session.execute(select(func.min(Entry.created_at), func.max(Entry.created_at)))).one()
    assert [each.count for (each,) in inflow] == [75, 200]
    assert [each.amount + 700 for (each,) in inflow] == balances
    assert now - timedelta(days=21) < oldest < newest <= now
