"""The database gives a transaction up: each request is answered as if nothing had happened, and takes effect once.

Each path is walked once to count its statements, then once more for each statement with a fault there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, func, update

from shared.banks.notices import PayoutNotice
from shared.ids import new_token
from shared.ledger import system_accounts
from shared.models import Account, OnRamp, Owner, PinFailure, Withdrawal
from tests.support.apps import (
    API,
    PASSWORD,
    PIN,
    RunningApp,
    Signed,
)
from tests.support.bank_flows import create_withdrawal
from tests.support.bank_notices import SignedRequest, create_on_ramp, payment_notice, signed
from tests.support.database_faults import Fault
from tests.support.faulty_world import World

ANYWHERE = (Fault.SERIALIZATION, Fault.LOST, Fault.READ_ONLY, Fault.CUT, Fault.DEADLOCK)
"""In turns at statements; at a commit each fault."""
RUPEES = 20_00
WRONG_PIN = "9182"
ACCOUNT: dict[str, Any] = {
    "bank": "hdfc",
    "account_number": "123456781234",
    "ifsc": "HDFC0000001",
    "account_holder": "Asha Rao",
}

Facts = dict[str, int]
"""What there is, counted: balances in paise, numbers of rows."""


async def nothing() -> Facts:
    """Nothing to look at, or to prepare."""
    return {}


@dataclass
class Walk:
    """One path: what to do, which `status` it is answered with, how to look at it, and what that changes by then.

    `prepare` makes what each walk needs anew, without faults.
    """

    do: Callable[[], Awaitable[int]]
    look: Callable[[], Awaitable[Facts]] = nothing
    changes: Facts = field(default_factory=dict)
    status: int = 201
    prepare: Callable[[], Awaitable[object]] = nothing


def money(world: World, *people: Signed) -> Callable[[], Awaitable[Facts]]:
    """Looks at what these have."""

    async def look() -> Facts:
        rows = [await world.account(who) for who in people]
        return {f"balance {number}": row.balance for number, row in enumerate(rows)}

    return look


def keyed(world: World, who: Signed, path: str, **body: Any) -> Callable[[], Awaitable[int]]:
    """Sends the request, and when all is well again a copy of it, which is answered alike."""

    async def do() -> int:
        key = new_token()
        first = await who.post(path, key=key, **body)
        world.faults.end()
        again = await who.post(path, key=key, **body)
        assert (again.status_code, again.json()) == (first.status_code, first.json()), (first.text, again.text)
        return first.status_code

    return do


async def sends(world: World) -> Walk:
    asha, ravi = await world.user_app.person(balance=1000 * RUPEES), await world.user_app.person("Ravi")
    do = keyed(world, asha, "/transfers", to=ravi.wallet_id, amount=RUPEES, pin=PIN)
    return Walk(do, money(world, asha, ravi), {"balance 0": -RUPEES, "balance 1": RUPEES})


async def sends_with_a_token(world: World) -> Walk:
    asha, ravi = await world.user_app.person(balance=1000 * RUPEES), await world.user_app.person("Ravi")
    headers = {"X-Pin-Token": (await asha.post("/auth/pin", key=None, pin=PIN)).json()["pin_token"]}
    do = keyed(world, asha, "/transfers", to=ravi.wallet_id, amount=RUPEES, headers=headers)
    return Walk(do, money(world, asha, ravi), {"balance 0": -RUPEES, "balance 1": RUPEES})


async def sends_many(world: World) -> Walk:
    asha, ravi = await world.user_app.person(balance=1000 * RUPEES), await world.user_app.person("Ravi")
    shop = await world.merchant_app.shop()
    items = [{"to": who.wallet_id, "amount": RUPEES} for who in (ravi, shop)]
    do = keyed(world, asha, "/transfers/bulk", items=items, pin=PIN)
    changes = {"balance 0": -2 * RUPEES, "balance 1": RUPEES, "balance 2": RUPEES}
    return Walk(do, money(world, asha, ravi, shop), changes, status=200)


async def gives_initial_funds(world: World) -> Walk:
    platform, ravi = await world.user_app.person("Platform"), await world.user_app.person("Ravi")
    await world.change(update(Owner).where(Owner.id == platform.id).values(is_system=True))
    # Its count is of all tests on this database.
    await world.change(update(Account).where(Account.id == system_accounts.FUNDING).values(sent_today=0))
    do = keyed(world, platform, "/system/initial-funds", to=ravi.wallet_id, amount=RUPEES, pin=PIN)
    return Walk(do, money(world, ravi), {"balance 0": RUPEES})


async def refunds(world: World) -> Walk:
    asha, shop = await world.user_app.person(balance=1000 * RUPEES), await world.merchant_app.shop()
    payment = (await asha.send(shop.wallet_id, 900 * RUPEES)).json()["id"]
    do = keyed(world, shop, f"/transactions/{payment}/refund", amount=RUPEES, pin=PIN)
    return Walk(do, money(world, asha, shop), {"balance 0": RUPEES, "balance 1": -RUPEES})


async def asks_for_a_withdrawal(world: World) -> Walk:
    asha = await world.user_app.person(balance=1000 * RUPEES)

    async def cancel_the_last() -> None:
        for each in (await asha.get("/withdrawals", limit=1)).json()["items"]:
            await asha.post(f"/withdrawals/{each['id']}/cancel", key=None)

    do = keyed(world, asha, "/withdrawals", **ACCOUNT, amount=RUPEES, pin=PIN)

    async def look() -> Facts:
        return {"held": (await world.account(asha)).held}

    return Walk(do, look, {"held": RUPEES}, status=202, prepare=cancel_the_last)


async def cancels_a_withdrawal(world: World) -> Walk:
    asha = await world.user_app.person(balance=1000 * RUPEES)

    async def ask() -> None:
        assert (await asha.post("/withdrawals", **ACCOUNT, amount=RUPEES, pin=PIN)).status_code == 202

    async def do() -> int:
        newest = await world.one(Withdrawal, Withdrawal.owner_id == asha.id, Withdrawal.status == "queued")
        return (await asha.post(f"/withdrawals/{newest.id}/cancel", key=None)).status_code

    async def look() -> Facts:
        return {"held": (await world.account(asha)).held}

    return Walk(do, look, {"held": -RUPEES}, status=200, prepare=ask)


async def opens_a_pot(world: World) -> Walk:
    asha = await world.user_app.person()
    pots = Account.owner_id == asha.id, Account.kind == "pot"

    async def close_the_others() -> None:
        await world.change(update(Account).where(*pots).values(closed_at=func.now()))

    async def do() -> int:
        return (await asha.post("/accounts", key=None, name="Goa")).status_code

    return Walk(do, lambda: counted(world, Account, *pots), {"rows": 1}, prepare=close_the_others)


async def renames_a_pot(world: World) -> Walk:
    asha = await world.user_app.person()
    pot = (await asha.post("/accounts", key=None, name="Goa")).json()["id"]

    async def do() -> int:
        answer = await asha.client.put(
            f"{API}/accounts/{pot}",
            json={"name": "Goa in May", "goal": RUPEES},
            headers={"Authorization": f"Bearer {asha.token}"},
        )
        return answer.status_code

    return Walk(do, lambda: counted(world, Account, Account.owner_id == asha.id), {}, status=200)


async def starts_an_on_ramp(world: World) -> Walk:
    asha = await world.user_app.person()
    opened = OnRamp.owner_id == asha.id, OnRamp.token.is_not(None)

    async def end_the_last() -> None:
        await world.change(update(OnRamp).where(*opened).values(status="expired", settled_at=func.now()))

    do = keyed(world, asha, "/on-ramps", bank="hdfc", amount=RUPEES)
    return Walk(do, lambda: counted(world, OnRamp, *opened), {"rows": 1}, prepare=end_the_last)


async def cancels_an_on_ramp(world: World) -> Walk:
    asha = await world.user_app.person()

    async def start() -> None:
        assert (await asha.post("/on-ramps", bank="hdfc", amount=RUPEES)).status_code == 201

    async def do() -> int:
        pending = await world.one(OnRamp, OnRamp.owner_id == asha.id, OnRamp.status == "pending")
        return (await asha.post(f"/on-ramps/{pending.id}/cancel", key=None)).status_code

    cancelled = OnRamp.owner_id == asha.id, OnRamp.status == "cancelled"
    return Walk(do, lambda: counted(world, OnRamp, *cancelled), {"rows": 1}, status=200, prepare=start)


async def enters_a_wrong_pin(world: World) -> Walk:
    asha = await world.user_app.person()
    failures = PinFailure.owner_id == asha.id

    async def do() -> int:
        answer = await asha.post("/auth/pin", key=None, pin=WRONG_PIN)
        assert answer.json()["attempts_left"] == 4, answer.text
        return answer.status_code

    async def forget() -> None:
        await world.change(delete(PinFailure).where(failures))

    return Walk(do, lambda: counted(world, PinFailure, failures), {"rows": 1}, status=403, prepare=forget)


async def changes_the_password(world: World) -> Walk:
    asha = await world.user_app.person()

    async def do() -> int:
        answer = await asha.client.patch(
            f"{API}/users/me",
            json={"current_password": PASSWORD, "new_password": PASSWORD},
            headers={"Authorization": f"Bearer {asha.token}"},
        )
        return answer.status_code

    return Walk(do, status=200)


async def signs_up(world: World) -> Walk:
    return Walk(lambda: _sign_up(world.user_app, first_name="Asha", last_name="Rao"))


async def signs_up_a_shop(world: World) -> Walk:
    return Walk(lambda: _sign_up(world.merchant_app, business_name="Chai Point"))


async def _sign_up(app: RunningApp, **names: str) -> int:
    email = f"{new_token(8).lower().strip('-_')}@example.com"
    answer = await app.client.post(
        f"{API}/auth/register", json={"email": email, "password": PASSWORD, "pin": PIN, **names}
    )
    app.client.cookies.clear()
    return answer.status_code


async def is_told_of_a_payment(world: World) -> Walk:
    asha = await world.user_app.person()
    wallet = await world.account(asha)
    told: list[SignedRequest] = []

    async def start() -> None:
        async with world.sessionmaker.begin() as session:
            told[:] = [signed(payment_notice(await create_on_ramp(session, wallet, amount=RUPEES)))]

    do = partial(world.tell, told)
    return Walk(do, money(world, asha), {"balance 0": RUPEES}, status=200, prepare=start)


async def is_told_of_a_payout(world: World) -> Walk:
    asha = await world.user_app.person(balance=1000 * RUPEES)
    wallet = await world.account(asha)
    told: list[SignedRequest] = []

    async def send() -> None:
        async with world.sessionmaker.begin() as session:
            withdrawal = await create_withdrawal(session, wallet, RUPEES, status="in_flight")
            withdrawal.active_since = withdrawal.created_at
        told[:] = [signed(PayoutNotice("hdfc", "success", str(withdrawal.id), "UTR1", RUPEES, None))]

    async def look() -> Facts:
        row = await world.account(asha)
        return {"balance": row.balance, "held": row.held}

    do = partial(world.tell, told)
    return Walk(do, look, {"balance": -RUPEES, "held": -RUPEES}, status=200, prepare=send)


async def counted(world: World, table: Any, *where: Any) -> Facts:
    """How many such rows there are."""
    return {"rows": await world.count(table, *where)}


PATHS = (
    sends,
    sends_with_a_token,
    sends_many,
    gives_initial_funds,
    refunds,
    asks_for_a_withdrawal,
    cancels_a_withdrawal,
    opens_a_pot,
    renames_a_pot,
    starts_an_on_ramp,
    cancels_an_on_ramp,
    enters_a_wrong_pin,
    changes_the_password,
    signs_up,
    signs_up_a_shop,
    is_told_of_a_payment,
    is_told_of_a_payout,
)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
async def test_a_fault_at_any_statement_is_not_the_callers_business(
    world: World, path: Callable[[World], Awaitable[Walk]]
) -> None:
    walk = await path(world)

    async def once(at: int | None = None, fault: Fault | None = None) -> tuple[int, Facts]:
        await walk.prepare()
        before = await walk.look()
        world.faults.begin(at=at, fault=fault)
        status = await walk.do()
        statements[:] = world.faults.seen
        world.faults.end()
        after = await walk.look()
        changed = {name: after[name] - before[name] for name in after}
        return status, {name: change for name, change in changed.items() if change}

    statements: list[str] = []
    assert await once() == (walk.status, walk.changes)
    assert await once() == (walk.status, walk.changes)  # its statements are prepared by now, and connections are there
    for number, statement in enumerate(list(statements)):
        for fault in Fault if statement == "COMMIT;" else [ANYWHERE[number % len(ANYWHERE)]]:
            outcome = await once(at=number, fault=fault)
            assert outcome == (walk.status, walk.changes), f"{fault} at statement {number}: {statement}"
