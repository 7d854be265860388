"""A person's name, pots and newest lines come with one gathered question."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from shared.auth.errors import TokenInvalid
from shared.ids import new_id
from shared.transfers.overviews import Overview, Overviews
from tests.support.apps import RunningApp, Signed


async def test_each_sees_the_own_pots_oldest_first(user_app: RunningApp, asha: Signed, ravi: Signed) -> None:
    overviews: Overviews = user_app.app.state.resources.overviews
    pots = [(await asha.post("/accounts", key=None, name=name)).json()["id"] for name in ("Goa", "Rent")]
    assert (await asha.send(pots[1], 3_00)).status_code == 201

    async def read(who: Signed, lines: int) -> Overview:
        return await overviews.read(who.id, account_id=UUID((await who.wallet())["account_id"]), lines=lines)

    of_asha, of_ravi, again = await asyncio.gather(read(asha, 2), read(ravi, 2), read(asha, 0))

    assert again == of_asha._replace(recent=[])
    assert [line.kind for line in of_asha.recent] == ["p2p", "funding"]
    assert of_asha.first_name == "Asha"
    assert [(str(pot.id), pot.name, pot.balance) for pot in of_asha.pots] == [
        (pots[0], "Goa", 0),
        (pots[1], "Rent", 3_00),
    ]
    assert of_ravi == Overview("Ravi", [], [])


async def test_one_who_is_no_person_is_not_signed_in(user_app: RunningApp, asha: Signed, shop: Signed) -> None:
    overviews: Overviews = user_app.app.state.resources.overviews
    for stranger in (new_id(), shop.id):
        with pytest.raises(TokenInvalid):
            await overviews.read(stranger, account_id=new_id())
