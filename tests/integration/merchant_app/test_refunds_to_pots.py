"""A payment out of a pot is given back to the pot, so the pot is still there."""

from __future__ import annotations

import pytest

from shared.ids import new_id
from shared.transfers.errors import PotMayBeRefunded
from shared.transfers.pots import close_pot, open_pot
from tests.support.apps import PIN, RunningApp, Signed


async def test_a_pot_that_paid_a_shop_stays_open_until_all_is_given_back(
    asha: Signed, shop: Signed, user_app: RunningApp
) -> None:
    async with user_app.sessionmaker.begin() as session:
        pot = await open_pot(session, pot_id=new_id(), owner_id=asha.id, name="Goa")
    assert (await asha.send(str(pot.id), 100_00)).status_code == 201
    paid = await asha.send(shop.wallet_id, 100_00, from_account=str(pot.id))
    assert paid.status_code == 201, paid.text
    with pytest.raises(PotMayBeRefunded):
        async with user_app.sessionmaker.begin() as session:
            await close_pot(session, owner_id=asha.id, pot_id=pot.id)
    refunded = await shop.post(f"/transactions/{paid.json()['id']}/refund", pin=PIN)
    assert refunded.status_code == 201, refunded.text
    assert (await asha.send(asha.wallet_id, 100_00, from_account=str(pot.id))).status_code == 201
    async with user_app.sessionmaker.begin() as session:
        await close_pot(session, owner_id=asha.id, pot_id=pot.id)
    assert (await asha.wallet())["balance"] == 1000_00
