"""What an operator books about an owner is not the owner's own act: only a party reads it."""

from __future__ import annotations

from uuid import UUID

from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from tests.support.apps import RunningApp, Signed


async def booked(app: RunningApp, debited: UUID, credited: UUID, about: UUID | None) -> str:
    transfer = Transfer(new_id(), "adjustment", debited, credited, 7_00, note="ref 7", initiated_by=about)
    async with app.sessionmaker.begin() as session:
        await post_one(session, transfer)
    return str(transfer.id)


async def test_a_parked_debit_is_not_read_by_the_owner_whom_it_names(user_app: RunningApp, asha: Signed) -> None:
    hdfc = system_accounts.SETTLEMENT["hdfc"]
    parked = await booked(user_app, system_accounts.SUSPENSE, hdfc, asha.id)
    assert (await asha.get(f"/transfers/{parked}")).status_code == 404


async def test_what_is_taken_from_an_owner_is_read_by_that_owner_alone(
    user_app: RunningApp, asha: Signed, ravi: Signed
) -> None:
    account = (await asha.get("/accounts")).json()["items"][0]["id"]
    collected = await booked(user_app, UUID(account), system_accounts.SUSPENSE, None)
    read = await asha.get(f"/transfers/{collected}")
    assert (read.status_code, read.json()["kind"], read.json()["amount"]) == (200, "adjustment", 7_00)
    assert (await ravi.get(f"/transfers/{collected}")).status_code == 404
