"""The sample history of ninety days: pure, and the same for the same moment."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta

from infra.seed import banking
from infra.seed.cast import BETWEEN_FRIENDS, PEOPLE, SHOPS, Person, Shop
from infra.seed.history import PAISE, Moment, Movement, Plan, moment_of
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
"""Every shop has some payments of today, at every hour of the day."""
_SATURDAY = 5
_OPENING = time(5, 0)


def plan(now: datetime) -> Plan:
    """Ninety days up to `now`, nothing after it."""
    today = now.astimezone(INDIA).date()
    days = [today - timedelta(days=DAYS - 1 - number) for number in range(DAYS)]
    opened_at = moment_of(days[0], _OPENING)
    start, end = moment_of(days[0], banking.PAYDAY), now - NEWEST_AGES[0]
    moments = [moment for number, day in enumerate(days) for moment in _day(number, day)]
    moments += [*banking.pots(days), *banking.withdrawals_of_people(days)]
    moments = [moment for moment in moments if start < moment.at < end]
    moments += _newest(now, today)
    moments += _refunds(moments, now)
    moments += [moment for moment in banking.withdrawals_of_shops(moments, start) if moment.at < end]
    moments += banking.incomes(moments, start)
    return Plan(opened_at, sorted(moments, key=lambda moment: moment.at))


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
    return moment_of(day, time(hour, rng.randrange(60), rng.randrange(60), rng.randrange(1_000_000)))


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
    midnight = moment_of(today, time.min)
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
