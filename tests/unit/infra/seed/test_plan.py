"""The sample history, before anything is written: in order, affordable, and with something to see every day."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.seed.cast import PEOPLE, POTS, SHOPS, TEA_SHOP, Person, Pot, Shop
from infra.seed.history import Movement, Plan
from infra.seed.plan import DAYS, plan
from shared.calendar import INDIA

EVENING = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # 21:00 in India

moments = st.timedeltas(timedelta(days=-800), timedelta(days=3000)).map(lambda passed: EVENING + passed)


def day_of(at: datetime) -> date:
    return at.astimezone(INDIA).date()


def movements(history: Plan) -> list[tuple[datetime, Movement]]:
    return [(moment.at, movement) for moment in history.moments for movement in moment.movements]


@settings(max_examples=15, deadline=None)
@given(moments)
def test_whenever_one_asks_everything_is_in_the_past_in_order_and_affordable(now: datetime) -> None:
    history = plan(now)
    assert now - timedelta(days=DAYS) <= history.opened_at < history.moments[0].at
    assert all(before.at <= after.at for before, after in pairwise(history.moments))
    assert history.moments[-1].at < now

    balances: Counter[Person | Shop | Pot] = Counter()
    returned: Counter[int] = Counter()
    seen: set[int] = set()
    for _, movement in movements(history):
        assert movement.amount > 0
        if movement.payer is not None:
            balances[movement.payer] -= movement.amount
            assert balances[movement.payer] >= 0
        if movement.payee is not None and not movement.is_refused:
            balances[movement.payee] += movement.amount
        if movement.reverses is not None:
            assert id(movement.reverses) in seen
            assert (movement.reverses.payer, movement.reverses.payee) == (movement.payee, movement.payer)
            returned[id(movement.reverses)] += movement.amount
            assert returned[id(movement.reverses)] <= movement.reverses.amount
        seen.add(id(movement))
    assert returned
    assert 4_000 < history.movements < 9_000


def test_every_shop_is_paid_on_every_day_and_today_too_just_after_midnight() -> None:
    midnight = datetime.combine(date(2026, 11, 21), time(0, 20), tzinfo=INDIA)
    for now in (EVENING, midnight.astimezone(UTC)):
        paid: dict[Shop | Person | Pot | None, set[date]] = defaultdict(set)
        for at, movement in movements(plan(now)):
            if movement.kind == "payment":
                paid[movement.payee].add(day_of(at))
        days = {day_of(now) - timedelta(days=age) for age in range(DAYS)}
        assert {shop: paid[shop] for shop in SHOPS} == dict.fromkeys(SHOPS, days)


def test_the_same_moment_has_the_same_history() -> None:
    def facts() -> list[tuple[object, ...]]:
        return [
            (at, each.kind, each.payer, each.payee, each.amount, each.note) for at, each in movements(plan(EVENING))
        ]

    assert facts() == facts()


def test_days_have_a_rhythm() -> None:
    tea = [at.astimezone(INDIA) for at, movement in movements(plan(EVENING)) if movement.payee == TEA_SHOP]
    by_hour = Counter(at.hour for at in tea)
    assert min(by_hour[8], by_hour[17]) > 2 * by_hour[13] > 0
    assert by_hour[3] == 0
    weekdays = Counter(day.weekday() for day in (at.date() for at in tea))
    assert weekdays[6] < weekdays[2]


def test_every_person_takes_part_and_friends_send_each_other_money() -> None:
    kinds: dict[Person, Counter[str]] = {person: Counter() for person in PEOPLE}
    for _, movement in movements(plan(EVENING)):
        if isinstance(movement.payer, Person):
            kinds[movement.payer][movement.kind] += 1
    assert all(kinds[person]["payment"] > 500 and kinds[person]["p2p"] > 10 for person in PEOPLE)


def test_banks_and_pots_take_part_with_every_outcome() -> None:
    kinds = Counter((movement.kind, movement.is_refused) for _, movement in movements(plan(EVENING)))
    assert kinds["onramp", False] >= len(PEOPLE) * DAYS // 7
    assert kinds["payout", False] > len(SHOPS) * (DAYS // 7 - 2)
    for rare in (("onramp", True), ("payout", True), ("payout_reversal", False)):
        assert kinds[rare] == 1
    banks = {movement.bank for _, movement in movements(plan(EVENING)) if movement.bank}
    assert banks == {"hdfc", "axis"}
    into = Counter(movement.payee for _, movement in movements(plan(EVENING)) if isinstance(movement.payee, Pot))
    assert all(into[pot] > 10 for pot in POTS)


def test_money_comes_from_a_bank_before_it_is_spent() -> None:
    first: dict[Person, str] = {}
    for _, movement in movements(plan(EVENING)):
        for one in (movement.payer, movement.payee):
            if isinstance(one, Person):
                first.setdefault(one, movement.kind)
    assert first == dict.fromkeys(PEOPLE, "onramp")
