"""What happened in the last ninety days: pure, and the same whenever it is asked for the same moment.

People earn weekly exactly what they are going to spend, and a little more, so every movement can be afforded.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from infra.seed.cast import BETWEEN_FRIENDS, PEOPLE, SHOPS, Person, Shop
from shared.calendar import INDIA

DAYS = 90
"""Today is the last of them."""
SEED = "batua"
FRIENDLY_PER_DAY = 2
NOTED = 0.3
"""The share of payments that say what they were for."""
GROWTH = 0.4
"""How much busier the last day is than the first."""
REFUND_EVERY_DAYS = 9
NEWEST_AGES = (timedelta(minutes=2), timedelta(minutes=9), timedelta(minutes=26))
"""Every shop has some payments of today, at whatever hour one looks."""
PAISE = 100
_SATURDAY = 5
_WEEK = timedelta(days=7)
_OPENING, _PAYDAY = time(5, 0), time(5, 30)
_INCOME_STEP, _INCOME_SPARE = 500 * PAISE, 500 * PAISE

Kind = Literal["funding", "p2p", "payment", "refund"]


@dataclass(frozen=True, slots=True, eq=False)
class Movement:
    """Paise from one to another. `payer` is None for the platform's funds; `reverses` is the payment given back."""

    kind: Kind
    payer: Person | Shop | None
    payee: Person | Shop
    amount: int
    note: str | None = None
    reverses: Movement | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened at once: friends who have tea together pay together."""

    at: datetime
    movements: Sequence[Movement]


@dataclass(frozen=True, slots=True)
class Plan:
    """When each person and shop signed up, and what they did since, oldest first. Times in UTC."""

    opened_at: datetime
    moments: list[Moment] = field(default_factory=list)

    @property
    def movements(self) -> int:
        """How many there are in all."""
        return sum(len(moment.movements) for moment in self.moments)


def plan(now: datetime) -> Plan:
    """Ninety days up to `now`, nothing after it."""
    today = now.astimezone(INDIA).date()
    days = [today - timedelta(days=DAYS - 1 - number) for number in range(DAYS)]
    opened_at = _at(days[0], _OPENING)
    moments = [moment for number, day in enumerate(days) for moment in _day(number, day)]
    moments = [moment for moment in moments if _at(days[0], _PAYDAY) < moment.at < now - NEWEST_AGES[0]]
    moments += _newest(now, today)
    moments += _refunds(moments, now)
    moments += _incomes(moments, days[0])
    return Plan(opened_at, sorted(moments, key=lambda moment: moment.at))


def _at(day: date, moment: time) -> datetime:
    return datetime.combine(day, moment, tzinfo=INDIA).astimezone(UTC)


def _day(number: int, day: date) -> Iterator[Moment]:
    rng = random.Random(f"{SEED} {number}")  # noqa: S311 - a rhythm, not a secret
    for shop in SHOPS:
        rate = shop.visits * (shop.weekend if day.weekday() >= _SATURDAY else 1.0) * (1 + GROWTH * number / DAYS)
        for _ in range(max(1, round(rng.gauss(rate, rate / 6)))):
            yield Moment(_some_time(rng, day, shop.hours), _visit(rng, shop))
    for _ in range(FRIENDLY_PER_DAY):
        payer, payee = rng.sample(PEOPLE, 2)
        amount = rng.randrange(50, 600, 10) * PAISE
        movement = Movement("p2p", payer, payee, amount, rng.choice(BETWEEN_FRIENDS))
        yield Moment(_some_time(rng, day, SHOPS[-1].hours), [movement])


def _some_time(rng: random.Random, day: date, hours: Sequence[int]) -> datetime:
    (hour,) = rng.choices(range(24), weights=hours)
    return _at(day, time(hour, rng.randrange(60), rng.randrange(60), rng.randrange(1_000_000)))


def _visit(rng: random.Random, shop: Shop) -> list[Movement]:
    friends = rng.sample(PEOPLE, rng.choice(shop.companions))
    return [_payment(rng, friend, shop) for friend in friends]


def _payment(rng: random.Random, payer: Person, shop: Shop) -> Movement:
    lowest, highest, step = shop.prices
    # The smaller of two throws: most of what one buys is cheap.
    rupees = min(rng.randrange(lowest, highest + step, step) for _ in range(2))
    note = rng.choice(shop.notes) if rng.random() < NOTED else None
    return Movement("payment", payer, shop, rupees * PAISE, note)


def _newest(now: datetime, today: date) -> Iterator[Moment]:
    rng = random.Random(f"{SEED} newest")  # noqa: S311 - a rhythm, not a secret
    midnight = _at(today, time.min)
    for number, shop in enumerate(SHOPS):
        for age in NEWEST_AGES:
            at = now - age - timedelta(seconds=7 * number)
            if at >= midnight:
                yield Moment(at, [_payment(rng, rng.choice(PEOPLE), shop)])


def _refunds(moments: Sequence[Moment], now: datetime) -> list[Moment]:
    """Now and then something is brought back the next day: half of the times all of it, else half."""
    rng = random.Random(f"{SEED} refunds")  # noqa: S311 - a rhythm, not a secret
    bought: dict[date, list[tuple[datetime, Movement]]] = defaultdict(list)
    for moment in moments:
        for movement in moment.movements:
            if movement.kind == "payment" and movement.payee in SHOPS[1:]:
                bought[moment.at.astimezone(INDIA).date()].append((moment.at, movement))
    found = []
    for day in sorted(bought)[REFUND_EVERY_DAYS // 2 :: REFUND_EVERY_DAYS]:
        at, payment = rng.choice(bought[day])
        returned_at = at + timedelta(hours=rng.choice((20, 22, 24)), minutes=rng.randrange(60))
        amount = payment.amount if rng.random() < 1 / 2 else payment.amount // 2
        assert payment.payer is not None
        if returned_at < now:
            refund = Movement("refund", payment.payee, payment.payer, amount, reverses=payment)
            found.append(Moment(returned_at, [refund]))
    return found


def _incomes(moments: Sequence[Moment], first: date) -> list[Moment]:
    """Weekly money for each person, before the week's first expense."""
    spent: dict[tuple[int, Person], int] = defaultdict(int)
    start = _at(first, _PAYDAY)
    for moment in moments:
        week = max(0, (moment.at - start) // _WEEK)
        for movement in moment.movements:
            if isinstance(movement.payer, Person):
                spent[week, movement.payer] += movement.amount
    last = max(week for week, _ in spent)
    return [
        Moment(
            start + week * _WEEK,
            [Movement("funding", None, person, _income(spent[week, person]), "Weekly income") for person in PEOPLE],
        )
        for week in range(last + 1)
    ]


def _income(spent: int) -> int:
    return -(-spent // _INCOME_STEP) * _INCOME_STEP + _INCOME_SPARE
