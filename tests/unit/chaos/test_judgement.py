"""The judgement of chaos finds each way in which money can be wrong. What is right is judged as right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chaos.bank import BankLine
from chaos.journal import Answer, Journal
from chaos.judgement import judge
from chaos.truth import Holding, Truth

WELCOME = 1000


def line(kind: str, direction: str, amount: int, after: int, *, name: str, note: str | None = None) -> dict[str, Any]:
    return {"kind": kind, "direction": direction, "amount": amount, "balance_after": after, "id": name, "note": note}


class World:
    """Asha was welcomed, added 300, sent 200 to the shop, withdrew 50 and got 20 of the 200 back."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.tell("send", {"to": "shop@batua", "amount": 200}, {"id": "t1", "amount": 200, "kind": "payment"})
        refund = {"id": "t2", "amount": 20, "to": {"wallet_id": "asha@batua"}}
        self.tell("refund", {"amount": 20}, refund, caller="shop")
        self.tell("on_ramp", {"bank": "hdfc", "amount": 300}, {"id": "o1"})
        self.tell("withdraw", {"bank": "hdfc", "amount": 50}, {"id": "w1"})
        sent, refunded = (request.note for request in self.journal.requests[:2])
        self.asha = Holding(
            name="asha",
            wallet_id="asha@batua",
            is_person=True,
            balance=1070,
            held=0,
            available=1070,
            statement=[
                line("refund", "CREDIT", 20, 1070, name="t2", note=refunded),
                line("payout", "DEBIT", 50, 1050, name="t4"),
                line("payment", "DEBIT", 200, 1100, name="t1", note=sent),
                line("onramp", "CREDIT", 300, 1300, name="t3"),
                line("funding", "CREDIT", 1000, 1000, name="t0"),
            ],
            withdrawals=[{"id": "w1", "status": "succeeded", "amount": 50}],
            on_ramps=[{"id": "o1", "status": "success", "amount": 300, "transfer_id": "t3"}],
        )
        self.shop = Holding(
            name="shop",
            wallet_id="shop@batua",
            is_person=False,
            balance=180,
            held=0,
            available=180,
            statement=[
                line("refund", "DEBIT", 20, 180, name="t2", note=refunded),
                line("payment", "CREDIT", 200, 200, name="t1", note=sent),
            ],
            withdrawals=[],
        )
        self.bank = [BankLine("hdfc", "o1", "CREDIT", 300, 300), BankLine("hdfc", "w1", "DEBIT", 50, 250)]
        self.settlement = {"hdfc": -250, "axis": 0}
        self.unfinished: list[str] = []
        self.other = {"suspense": 0, "fees": 0, "funding": -WELCOME}
        self.owners = 2

    def tell(self, kind: Any, body: dict[str, Any], said: dict[str, Any], caller: str = "asha") -> None:
        request = self.journal.begin(kind, caller, "/", body)
        request.answers.append(Answer(201, said))
        request.is_settled = True

    def findings(self) -> set[str]:
        truth = Truth(
            [self.asha, self.shop],
            self.bank,
            self.unfinished,
            self.settlement,
            self.other,
            total=0,
            owners=self.owners,
            welcome=WELCOME,
        )
        return {finding.wrong for finding in judge(self.journal, truth)}


def test_what_is_right_is_judged_as_right() -> None:
    assert World().findings() == set()


def test_of_many_only_what_was_done_has_moved() -> None:
    world = World()
    items = [{"to": "shop@batua", "amount": 5}, {"to": "gone@batua", "amount": 6}]
    results = [{"index": 0, "status": 201, "transfer": {"id": "t7"}}, {"index": 1, "status": 404, "problem": {}}]
    world.tell("send_many", {"items": items}, {"results": results})
    note = world.journal.requests[-1].body["items"][0]["note"]
    world.asha.statement = [line("payment", "DEBIT", 5, 1065, name="t7", note=note), *world.asha.statement]
    world.shop.statement = [line("payment", "CREDIT", 5, 185, name="t7", note=note), *world.shop.statement]
    world.asha.balance = world.asha.available = 1065
    world.shop.balance = world.shop.available = 185
    assert world.findings() == set()


def told_and_not_done(world: World) -> None:
    world.tell("send", {"to": "shop@batua", "amount": 7}, {"id": "t9", "amount": 7, "kind": "payment"})


def no_money_for_a_line(world: World) -> None:
    world.asha.balance = world.asha.available = 1069


def money_for_no_line(world: World) -> None:
    world.shop.balance = world.shop.available = 181


def done_twice(world: World) -> None:
    first = world.asha.statement[2]
    world.asha.statement = [*world.asha.statement, {**first, "id": "t8"}]


def two_answers(world: World) -> None:
    world.journal.requests[0].answers.append(Answer(201, {"id": "t8", "amount": 200}))


def refused_after_it_was_done(world: World) -> None:
    world.journal.requests[0].answers.append(Answer(402, {}, after_yes=True))


def never_answered(world: World) -> None:
    world.journal.begin("send", "asha", "/", {"to": "shop@batua", "amount": 1})


def unfinished(world: World) -> None:
    world.unfinished.append("withdrawal w1 unknown")


def held(world: World) -> None:
    world.asha.held, world.asha.available = 5, 1065


def paid_out_twice_by_the_bank(world: World) -> None:
    world.bank.append(BankLine("hdfc", "w1", "DEBIT", 50, 250))


def paid_out_here_alone(world: World) -> None:
    world.bank.pop()
    world.settlement["hdfc"] = -300


def paid_out_though_cancelled(world: World) -> None:
    world.journal.cancelled.add("w1")


def added_at_the_bank_alone(world: World) -> None:
    world.tell("on_ramp", {"bank": "hdfc", "amount": 9}, {"id": "o2"})
    failed = {"id": "o2", "status": "failure", "amount": 9, "transfer_id": None}
    world.asha.on_ramps = [*world.asha.on_ramps, failed]
    world.bank.append(BankLine("hdfc", "o2", "CREDIT", 9, 250))


def credited_twice(world: World) -> None:
    world.asha.statement = [*world.asha.statement, line("onramp", "CREDIT", 300, 1300, name="t7")]


def a_line_of_the_bank_that_is_not_ours(world: World) -> None:
    world.bank.append(BankLine("axis", "x", "CREDIT", 9, 0))


def a_mirror_that_is_wrong(world: World) -> None:
    world.settlement["hdfc"] = -240


def left_in_suspense(world: World) -> None:
    world.other["suspense"] = 3


def an_owner_who_did_not_sign_up(world: World) -> None:
    world.owners = 3


@pytest.mark.parametrize(
    ("spoil", "wrong"),
    [
        (told_and_not_done, "lost"),
        (no_money_for_a_line, "lost"),
        (money_for_no_line, "made"),
        (done_twice, "doubled"),
        (two_answers, "doubled"),
        (refused_after_it_was_done, "doubled"),
        (never_answered, "stuck"),
        (unfinished, "stuck"),
        (held, "stuck"),
        (paid_out_twice_by_the_bank, "doubled"),
        (paid_out_here_alone, "lost"),
        (paid_out_though_cancelled, "doubled"),
        (added_at_the_bank_alone, "lost"),
        (credited_twice, "doubled"),
        (a_line_of_the_bank_that_is_not_ours, "lost"),
        (a_mirror_that_is_wrong, "lost"),
        (left_in_suspense, "made"),
        (an_owner_who_did_not_sign_up, "made"),
    ],
)
def test_each_way_of_being_wrong_is_found(spoil: Callable[[World], None], wrong: str) -> None:
    world = World()
    spoil(world)
    assert wrong in world.findings()
