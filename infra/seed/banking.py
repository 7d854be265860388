"""The part of the sample history that concerns banks and pots: pure, like `plan`, and the same for the same days.

Shops withdraw most of what they took in the week before. People withdraw now and then, and two of them put money aside.
Their on-ramps bring in every week what they are going to spend, and a little more, so every movement can be afforded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal

from infra.seed.cast import BANK_ACCOUNTS, PEOPLE, POTS, SHOPS, Person, Shop
from infra.seed.history import PAISE, Moment, Movement, moment_of

WEEK = timedelta(days=7)
PAYDAY = time(5, 30)
_INCOME_STEP, _INCOME_SPARE = 500 * PAISE, 500 * PAISE
_SHOP_STEP = 100 * PAISE
_SHOP_SHARE = 0.7
"""Of the takings of a week. The rest stays for refunds."""
_SHOPS_WITHDRAW_AFTER = timedelta(hours=5)
_DECLINED_DAY = 19
_POT_DAYS = range(2, 1000, 7)
_POT_BACK_DAY = 58
RETURNED_AFTER = timedelta(hours=3)
_PEOPLE_WITHDRAW: Sequence[tuple[int, Person, int, Literal["paid", "refused", "returned"]]] = (
    (10, PEOPLE[1], 2000 * PAISE, "paid"),
    (17, PEOPLE[2], 1500 * PAISE, "paid"),
    (24, PEOPLE[4], 900 * PAISE, "refused"),
    (25, PEOPLE[4], 900 * PAISE, "paid"),
    (38, PEOPLE[1], 2500 * PAISE, "paid"),
    (45, PEOPLE[2], 1200 * PAISE, "paid"),
    (52, PEOPLE[3], 3000 * PAISE, "returned"),
    (66, PEOPLE[1], 1800 * PAISE, "paid"),
    (73, PEOPLE[0], 1000 * PAISE, "paid"),
    (80, PEOPLE[2], 2200 * PAISE, "paid"),
)


def withdrawals_of_people(days: Sequence[date]) -> Iterator[Moment]:
    """What people withdraw; `days` are those of the history."""
    for number, person, amount, outcome in _PEOPLE_WITHDRAW:
        if number >= len(days):
            continue
        at, bank = moment_of(days[number], time(12, 3 + number % 40)), BANK_ACCOUNTS[person].bank
        payout = Movement("payout", person, None, amount, bank=bank, is_refused=outcome == "refused")
        yield Moment(at, [payout])
        if outcome == "returned":
            reversal = Movement("payout_reversal", None, person, amount, bank=bank, reverses=payout)
            yield Moment(at + RETURNED_AFTER, [reversal])


def pots(days: Sequence[date]) -> Iterator[Moment]:
    """What goes into pots every week, and what one person takes out again."""
    for number in _POT_DAYS:
        if number < len(days):
            saved = [Movement("p2p", pot.owner, pot, pot.weekly, "Every week") for pot in POTS]
            yield Moment(moment_of(days[number], time(20, 15)), saved)
    if len(days) > _POT_BACK_DAY:
        pot = POTS[0]
        yield Moment(moment_of(days[_POT_BACK_DAY], time(18, 40)), [Movement("p2p", pot, pot.owner, 2 * pot.weekly)])


def withdrawals_of_shops(moments: Sequence[Moment], start: datetime) -> Iterator[Moment]:
    """Each week most of the takings of the week before; `start` is when the first week begins."""
    takings: dict[tuple[int, Shop], int] = defaultdict(int)
    for moment in moments:
        week = max(0, (moment.at - start) // WEEK)
        for movement in moment.movements:
            if movement.kind == "payment" and isinstance(movement.payee, Shop):
                takings[week, movement.payee] += movement.amount
            elif movement.kind == "refund" and isinstance(movement.payer, Shop):
                takings[week, movement.payer] -= movement.amount
    for (week, shop), taken in takings.items():
        amount = int(taken * _SHOP_SHARE) // _SHOP_STEP * _SHOP_STEP
        if amount > 0:
            at = start + (week + 1) * WEEK + _SHOPS_WITHDRAW_AFTER + timedelta(minutes=7 * SHOPS.index(shop))
            yield Moment(at, [Movement("payout", shop, None, amount, bank=BANK_ACCOUNTS[shop].bank)])


def incomes(moments: Sequence[Moment], start: datetime) -> list[Moment]:
    """The on-ramps of every person, one a week, before the week's first expense. One more was declined by its owner."""
    spent = _spent(moments, start)
    last = max(week for week, _ in spent)
    found = []
    for week in range(last + 1):
        for number, person in enumerate(PEOPLE):
            bank = BANK_ACCOUNTS[person].bank
            amount = income(spent.get((week, person), 0))
            at = start + week * WEEK - timedelta(minutes=number + 1)
            found.append(Moment(at, [Movement("onramp", None, person, amount, bank=bank)]))
    declined_at = start + _DECLINED_DAY * WEEK / 7 + timedelta(hours=9)
    if moments and declined_at < max(moment.at for moment in moments):
        declined = Movement("onramp", None, PEOPLE[2], 750 * PAISE, bank="axis", is_refused=True)
        found.append(Moment(declined_at, [declined]))
    return found


def income(spent: int) -> int:
    """What a person adds who spends this much in the week: whole steps, and something to spare."""
    return -(-spent // _INCOME_STEP) * _INCOME_STEP + _INCOME_SPARE


def _spent(moments: Sequence[Moment], start: datetime) -> Mapping[tuple[int, Person], int]:
    spent: dict[tuple[int, Person], int] = defaultdict(int)
    for moment in moments:
        week = max(0, (moment.at - start) // WEEK)
        for movement in moment.movements:
            if isinstance(movement.payer, Person):
                spent[week, movement.payer] += movement.amount
    return spent
