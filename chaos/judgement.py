"""Compare what is so with what callers were told. Pure: no database, no clock, nothing of the ledger.

lost: money, or a movement that was done, is missing. made: money is there that nothing explains. doubled: one thing
was done twice, or told in two ways. stuck: something has not ended in time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chaos.journal import Journal, Request
from chaos.truth import Holding, Truth

Wrong = Literal["lost", "made", "doubled", "stuck"]
FINAL = {"succeeded", "failed", "cancelled", "reversed"}
PAID_OUT = {"succeeded", "reversed"}
OTHER_KINDS = {"onramp", "payout", "payout_reversal", "funding"}
"""Lines of a statement that are compared with on-ramps, withdrawals and welcomes, and not with what was sent."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    wrong: Wrong
    what: str


@dataclass(frozen=True, slots=True)
class Movement:
    """Money that a caller was told has moved, from one account to another: a wallet id or the id of a pot. Paise."""

    id: str
    amount: int
    debit: str
    credit: str
    note: str


def judge(journal: Journal, truth: Truth) -> list[Finding]:
    """Everything that is wrong; nothing, if the promise was kept."""
    movements = _movements(journal, truth)
    return [
        *_contradictions(journal),
        *(Finding("stuck", what) for what in truth.unfinished),
        *_statements(movements, truth),
        *_balances(movements, truth),
        *_withdrawals(journal, truth),
        *_on_ramps(journal, truth),
        *_banks(truth),
        *_books(truth),
    ]


def _movements(journal: Journal, truth: Truth) -> list[Movement]:
    wallets = {holding.name: holding.wallet_id for holding in truth.holdings}
    found = []
    for request in journal.told_yes("send"):
        said, body = _said(request), request.body
        debit = body.get("from_account") or wallets[request.caller]
        found.append(Movement(said["id"], body["amount"], debit, body["to"], body["note"]))
    for request in journal.told_yes("send_many"):
        for item, result in zip(request.body["items"], _said(request)["results"], strict=True):
            if "transfer" in result:
                made = result["transfer"]["id"]
                found.append(Movement(made, item["amount"], wallets[request.caller], item["to"], item["note"]))
    for request in journal.told_yes("refund"):
        said = _said(request)
        to = said["to"]["wallet_id"]
        found.append(Movement(said["id"], said["amount"], wallets[request.caller], to, request.body["note"]))
    return found


def _said(request: Request) -> Mapping[str, Any]:
    return request.yes.body if request.yes else {}


def _contradictions(journal: Journal) -> Iterator[Finding]:
    for request in journal.requests:
        if not request.is_settled:
            yield Finding("stuck", f"{request.key} was never answered")
        told = [answer.body for answer in request.answers if answer.is_yes]
        if any(body != told[0] for body in told):
            yield Finding("doubled", f"{request.key} was told two things: {told}")
        refused = [answer for answer in request.answers if answer.after_yes and not answer.is_yes]
        if refused:
            yield Finding("doubled", f"{request.key} was done, and then refused: {refused[0]}")


def _statements(movements: list[Movement], truth: Truth) -> Iterator[Finding]:
    """Each movement is one line on either side, and each line is explained."""
    told: dict[tuple[str, str, str], Movement] = {}
    for movement in movements:
        for wallet, direction in ((movement.debit, "DEBIT"), (movement.credit, "CREDIT")):
            if (wallet, direction, movement.id) in told:
                yield Finding("doubled", f"{movement.id} answers two requests")
            told[wallet, direction, movement.id] = movement
    notes = {movement.note for movement in movements}
    for holding in truth.holdings:
        for line in holding.statement:
            if line["kind"] not in OTHER_KINDS:
                movement_told = told.pop((holding.wallet_id, line["direction"], line["id"]), None)
                yield from _line(holding, line, movement_told, notes)
    wallets = {holding.wallet_id for holding in truth.holdings}
    for (wallet, direction, _), movement in told.items():
        if wallet in wallets:
            yield Finding("lost", f"{wallet} has no {direction} of {movement}")


def _line(holding: Holding, line: Mapping[str, Any], told: Movement | None, notes: set[str]) -> Iterator[Finding]:
    if told is not None:
        yield from _differs(f"{holding.wallet_id}: {line}", line["amount"], told.amount)
    elif line["note"] in notes:
        yield Finding("doubled", f"{holding.wallet_id}: {line} repeats one that was told")
    else:
        wrong: Wrong = "made" if line["direction"] == "CREDIT" else "lost"
        yield Finding(wrong, f"{holding.wallet_id}: {line} was told to no caller")


def _balances(movements: list[Movement], truth: Truth) -> Iterator[Finding]:
    """Each balance is what was told, added up."""
    expected: Counter[str] = Counter()
    for movement in movements:
        expected[movement.debit] -= movement.amount
        expected[movement.credit] += movement.amount
    for holding in truth.holdings:
        expected[holding.wallet_id] += truth.welcome if holding.is_person else 0
        for withdrawal in holding.withdrawals:
            expected[holding.wallet_id] -= withdrawal["amount"] if withdrawal["status"] == "succeeded" else 0
        for on_ramp in holding.on_ramps:
            expected[holding.wallet_id] += on_ramp["amount"] if on_ramp["status"] == "success" else 0
    for holding in truth.holdings:
        yield from _differs(holding.wallet_id, holding.balance, expected[holding.wallet_id])
        yield from _differs(f"{holding.wallet_id} available", holding.available, holding.balance - holding.held)
        for pot, balance in holding.pots.items():
            yield from _differs(f"pot {pot} of {holding.wallet_id}", balance, expected[pot])
        if holding.held:
            yield Finding("stuck", f"{holding.wallet_id} still has {holding.held} held")
        if holding.statement:
            yield from _differs(
                f"{holding.wallet_id} last line", holding.statement[0]["balance_after"], holding.balance
            )


def _differs(what: str, found: int, expected: int) -> Iterator[Finding]:
    if found != expected:
        yield Finding("made" if found > expected else "lost", f"{what}: {found}, and {expected} was told")


def _withdrawals(journal: Journal, truth: Truth) -> Iterator[Finding]:
    """Each was asked for, and its bank has the lines that its status says."""
    told = {_said(request)["id"]: request.body["amount"] for request in journal.told_yes("withdraw")}
    lines = _lines_by_reference(truth)
    for holding in truth.holdings:
        for withdrawal in holding.withdrawals:
            which, status, amount = withdrawal["id"], withdrawal["status"], withdrawal["amount"]
            name = f"withdrawal {which} of {holding.wallet_id} ({status})"
            if told.pop(which, None) != amount:
                yield Finding("made", f"{name}: was not asked for, or not with {amount}")
            if status not in FINAL:
                continue  # named among what is unfinished
            if which in journal.cancelled and status != "cancelled":
                yield Finding("doubled", f"{name}: its caller was told that it is cancelled")
            out, back = lines[which, "DEBIT"], lines[which, "CREDIT"]
            yield from _payout(name, amount, status, out, back)
        yield from _payout_lines(holding)
    for which in told:
        yield Finding("lost", f"withdrawal {which} was accepted and is in no list")


def _payout(name: str, amount: int, status: str, out: list[int], back: list[int]) -> Iterator[Finding]:
    expected_out = [amount] if status in PAID_OUT else []
    expected_back = [amount] if status == "reversed" else []
    if len(out) > len(expected_out):
        yield Finding("doubled", f"{name}: the bank paid {out}")
    elif out != expected_out:
        yield Finding("lost", f"{name}: the bank paid {out}")
    if back != expected_back:
        yield Finding("lost" if len(back) > len(expected_back) else "made", f"{name}: the bank gave back {back}")


def _payout_lines(holding: Holding) -> Iterator[Finding]:
    """The statement has one line for each payout and each reversal."""
    for kind, statuses in (("payout", PAID_OUT), ("payout_reversal", {"reversed"})):
        lines = Counter(line["amount"] for line in holding.statement if line["kind"] == kind)
        told = Counter(each["amount"] for each in holding.withdrawals if each["status"] in statuses)
        if lines - told:
            yield Finding("doubled", f"{holding.wallet_id}: {kind} lines without a withdrawal: {dict(lines - told)}")
        if told - lines:
            yield Finding("lost", f"{holding.wallet_id}: withdrawals without a {kind} line: {dict(told - lines)}")


def _on_ramps(journal: Journal, truth: Truth) -> Iterator[Finding]:
    """Each success has its money at the bank, and no other does."""
    told = {_said(request)["id"] for request in journal.told_yes("on_ramp")}
    lines = _lines_by_reference(truth)
    for holding in truth.holdings:
        for on_ramp in holding.on_ramps:
            which, status = on_ramp["id"], on_ramp["status"]
            name = f"on-ramp {which} of {holding.wallet_id} ({status})"
            told.discard(which)
            at_bank = sum(lines[which, "CREDIT"]) - sum(lines[which, "DEBIT"])
            here = on_ramp["amount"] if status == "success" else 0
            if at_bank != here and status != "pending":
                yield Finding("made" if here > at_bank else "lost", f"{name}: {at_bank} at the bank, {here} here")
        lines_here = Counter(line["id"] for line in holding.statement if line["kind"] == "onramp")
        credited = Counter(each["transfer_id"] for each in holding.on_ramps if each["status"] == "success")
        if lines_here - credited:
            yield Finding("doubled", f"{holding.wallet_id}: credited without an on-ramp: {lines_here - credited}")
        if credited - lines_here:
            yield Finding("lost", f"{holding.wallet_id}: on-ramps without a credit: {credited - lines_here}")
    for which in told:
        yield Finding("lost", f"on-ramp {which} was started and is in no list")


def _lines_by_reference(truth: Truth) -> defaultdict[tuple[str, str], list[int]]:
    lines: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for line in truth.bank_lines:
        lines[line.reference, line.direction].append(line.amount)
    return lines


def _banks(truth: Truth) -> Iterator[Finding]:
    """No bank has a line of which no holder knows, and our mirror of each nodal account says what the bank says."""
    known = {each["id"] for holding in truth.holdings for each in (*holding.withdrawals, *holding.on_ramps)}
    nodal: dict[str, int] = dict.fromkeys(truth.settlement, 0)
    for line in truth.bank_lines:
        nodal[line.bank] = line.balance_after
        if line.reference not in known:
            yield Finding("lost", f"{line} belongs to nothing here")
    for bank, balance in nodal.items():
        yield from _differs(f"settlement of {bank}", -truth.settlement[bank], balance)


def _books(truth: Truth) -> Iterator[Finding]:
    """The books balance, nothing is left in suspense, and nothing but welcomes was given."""
    people = sum(holding.is_person for holding in truth.holdings)
    yield from _differs("the sum of all balances", truth.total, 0)
    yield from _differs("suspense", truth.other_system["suspense"], 0)
    yield from _differs("fees", truth.other_system["fees"], 0)
    yield from _differs("funding", -truth.other_system["funding"], people * truth.welcome)
    yield from _differs("owners", truth.owners, len(truth.holdings))
