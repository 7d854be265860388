"""The rules of money, pure: no database, no clock. `decide` takes commands in order; each sees the effects of those
before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal, NamedTuple, assert_never
from uuid import UUID

from shared.errors import BatuaError
from shared.ledger.errors import (
    AccountClosed,
    AccountFrozen,
    AccountNotFound,
    CurrencyMismatch,
    HoldExists,
    HoldMismatch,
    HoldNotActive,
    HoldNotFound,
    InsufficientFunds,
    OriginalNotFound,
    ReversalExceedsOriginal,
    ReversalMismatch,
    SameAccount,
)
from shared.ledger.limits import SendingLimit
from shared.money import INR
from shared.spelling import composed

Direction = Literal["DEBIT", "CREDIT"]
TransferKind = Literal["p2p", "payment", "onramp", "payout", "payout_reversal", "funding", "adjustment", "refund"]


@dataclass(slots=True)
class AccountState:
    """The current state of an account. `balance` and `held` are paise; `seq` is the number of the last entry.

    A wallet also counts the paise that its owner sent on the Indian day `sent_on`: the daily limit reads this.
    `Deciding` changes copies of its own; a new object for each entry would cost more than deciding does.
    """

    id: UUID
    currency: str = INR
    balance: int = 0
    held: int = 0
    allow_negative: bool = False
    seq: int = 0
    is_closed: bool = False
    is_frozen: bool = False
    sent_on: date | None = None
    sent_today: int = 0

    @property
    def available(self) -> int:
        """Paise that may move."""
        return self.balance - self.held

    def sent_by(self, day: date) -> int:
        """Paise sent on that day. If the stored day is later (another machine's clock is ahead), its sum counts."""
        return self.sent_today if self.sent_on is not None and self.sent_on >= day else 0

    def copied(self) -> AccountState:
        """The same, to be changed. By hand: `copy` takes ten times as long."""
        return AccountState(
            self.id,
            self.currency,
            self.balance,
            self.held,
            self.allow_negative,
            self.seq,
            self.is_closed,
            self.is_frozen,
            self.sent_on,
            self.sent_today,
        )

    def count_sent(self, amount: int, day: date) -> None:
        """Count `amount` more paise as sent on `day`."""
        self.sent_today = self.sent_by(day) + amount
        self.sent_on = day if self.sent_on is None else max(self.sent_on, day)

    def add_entry(self, amount: int) -> None:
        """Write one more entry of `amount` (negative: a debit)."""
        self.balance += amount
        self.seq += 1


@dataclass(frozen=True, slots=True)
class HoldState:
    """The current state of a hold. `amount` is paise."""

    id: UUID
    account_id: UUID
    amount: int
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class OriginalState:
    """A transfer that a command reverses. `reversed` is the paise of it that earlier transfers reversed."""

    id: UUID
    debit_account_id: UUID
    credit_account_id: UUID
    amount: int
    reversed: int = 0


@dataclass(frozen=True, slots=True)
class Transfer:
    """Move `amount` paise from the debited account to the credited account, within `limit` if one is set."""

    id: UUID
    kind: TransferKind
    debit_account_id: UUID
    credit_account_id: UUID
    amount: int
    currency: str = INR
    note: str | None = None
    initiated_by: UUID | None = None
    reverses: UUID | None = None
    limit: SendingLimit | None = None

    def __post_init__(self) -> None:
        _assert_positive(self.amount)
        if self.note is not None:  # here, because the fingerprint of a request is of the note as it was sent
            object.__setattr__(self, "note", composed(self.note))


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """Reserve `amount` paise: the available amount falls, the balance stays."""

    hold_id: UUID
    account_id: UUID
    amount: int
    currency: str = INR

    def __post_init__(self) -> None:
        _assert_positive(self.amount)


@dataclass(frozen=True, slots=True)
class CaptureHold:
    """Turn a hold into `transfer`, which moves exactly the held amount. Held amount and balance fall together."""

    hold_id: UUID
    transfer: Transfer


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    """End a hold without moving money: the held amount becomes available again."""

    hold_id: UUID
    account_id: UUID


Command = Transfer | PlaceHold | CaptureHold | ReleaseHold


class EntryLine(NamedTuple):
    """An entry to write: one side of a transfer. `amount` and `balance_after` are paise."""

    account_id: UUID
    seq: int
    transfer_id: UUID
    direction: Direction
    amount: int
    balance_after: int


@dataclass(frozen=True, slots=True)
class Posted:
    """The command is accepted. `entries` are its debit and its credit; empty when it places or releases a hold."""

    command: Command
    entries: tuple[EntryLine, ...] = ()
    at: datetime | None = None
    """When the entries were written (UTC); None until then."""

    def balance_after(self, account_id: UUID) -> int:
        """Paise on one of the two accounts after this transfer."""
        return next(entry.balance_after for entry in self.entries if entry.account_id == account_id)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The command is rejected and changes nothing; `error` says why."""

    command: Command
    error: BatuaError


Outcome = Posted | Rejected


@dataclass(frozen=True, slots=True)
class Books:
    """The state that a batch of commands reads and changes."""

    accounts: Mapping[UUID, AccountState]
    holds: Mapping[UUID, HoldState] = field(default_factory=dict)
    originals: Mapping[UUID, OriginalState] = field(default_factory=dict)


def decide(books: Books, commands: Sequence[Command]) -> tuple[list[Outcome], Books]:
    """Decide the commands one after the other. Answers the outcomes in the same order, and the books after them."""
    deciding = Deciding(books)
    outcomes = [deciding.decide(command) for command in commands]
    return outcomes, deciding.books


def accounts_touched(command: Command) -> tuple[UUID, ...]:
    """Ids of every account that the command reads or changes; the credited account is the last."""
    match command:
        case Transfer():
            counted = () if command.limit is None else (command.limit.account_id,)
            return (*counted, command.debit_account_id, command.credit_account_id)
        case CaptureHold():
            return accounts_touched(command.transfer)
        case PlaceHold() | ReleaseHold():
            return (command.account_id,)
        case _:
            assert_never(command)


class Deciding:
    """Decides commands one after the other, from these books on. `at` (UTC) becomes the time of what is posted."""

    def __init__(self, books: Books, at: datetime | None = None) -> None:
        self._at = at
        self._accounts = dict(books.accounts)
        self._own_ids: set[int] = set()
        """The `id()` of each object that is a copy: hashing a UUID takes longer than all the rest of a look-up."""
        self.holds = dict(books.holds)
        self.originals = dict(books.originals)
        self._transfers: list[Transfer] = []
        """Those that were accepted so far: a later command may reverse one."""

    @property
    def books(self) -> Books:
        """The books after the commands that were decided so far."""
        accepted = {transfer.id: _original(transfer) for transfer in self._transfers}
        return Books(self._accounts, self.holds, accepted | self.originals)

    @property
    def changed(self) -> list[AccountState]:
        """The accounts that the commands so far have changed, as they are now."""
        return [account for account in self._accounts.values() if id(account) in self._own_ids]

    def decide(self, command: Command) -> Outcome:
        """Decide one command; the next one sees its effects."""
        try:
            match command:
                case Transfer():
                    return self._transfer(command, command)
                case PlaceHold():
                    return self._place(command)
                case CaptureHold():
                    return self._capture(command)
                case ReleaseHold():
                    return self._release(command)
                case _:
                    assert_never(command)
        except BatuaError as error:
            return Rejected(command, error)

    def _transfer(self, transfer: Transfer, command: Transfer | CaptureHold, from_hold: int = 0) -> Posted:
        if transfer.debit_account_id == transfer.credit_account_id:
            raise SameAccount
        debit = self._open_account(transfer.debit_account_id, transfer.currency)
        credit = self._open_account(transfer.credit_account_id, transfer.currency)
        original = self._reversible(transfer)
        counted = self._counted(transfer)
        # What was held before the freeze and is captured now has left already: the bank says so.
        if debit.is_frozen and not from_hold:
            raise AccountFrozen
        free = debit.available + from_hold
        if not debit.allow_negative and free < transfer.amount:
            raise InsufficientFunds(available=free, amount=transfer.amount)

        if original is not None:
            self.originals[original.id] = replace(original, reversed=original.reversed + transfer.amount)
        debit, credit = self._own(debit), self._own(credit)
        debit.held -= from_hold
        debit.add_entry(-transfer.amount)
        credit.add_entry(transfer.amount)
        if counted is not None and transfer.limit is not None:
            self._own(self._accounts[counted.id]).count_sent(transfer.amount, transfer.limit.limits.day.date)
        self._transfers.append(transfer)
        return Posted(command, (_line(debit, transfer, "DEBIT"), _line(credit, transfer, "CREDIT")), self._at)

    def _place(self, command: PlaceHold) -> Posted:
        account = self._open_account(command.account_id, command.currency)
        if command.hold_id in self.holds:
            raise HoldExists
        if account.is_frozen:
            raise AccountFrozen
        if not account.allow_negative and account.available < command.amount:
            raise InsufficientFunds(available=account.available, amount=command.amount)
        self._own(account).held += command.amount
        self.holds[command.hold_id] = HoldState(command.hold_id, account.id, command.amount)
        return Posted(command, at=self._at)

    def _capture(self, command: CaptureHold) -> Posted:
        hold = self._active_hold(command.hold_id, command.transfer.debit_account_id)
        if hold.amount != command.transfer.amount:
            raise HoldMismatch
        posted = self._transfer(command.transfer, command, from_hold=hold.amount)
        self.holds[hold.id] = replace(hold, is_active=False)
        return posted

    def _release(self, command: ReleaseHold) -> Posted:
        hold = self._active_hold(command.hold_id, command.account_id)
        self._own(self._accounts[hold.account_id]).held -= hold.amount
        self.holds[hold.id] = replace(hold, is_active=False)
        return Posted(command, at=self._at)

    def _own(self, account: AccountState) -> AccountState:
        """The account as it is now, to change it: the books that were given stay as they are."""
        if id(account) in self._own_ids:
            return account
        own = self._accounts[account.id] = account.copied()
        self._own_ids.add(id(own))
        return own

    def _open_account(self, account_id: UUID, currency: str) -> AccountState:
        account = self._accounts.get(account_id)
        if account is None:
            raise AccountNotFound
        if account.is_closed:
            raise AccountClosed
        if account.currency != currency:
            raise CurrencyMismatch
        return account

    def _active_hold(self, hold_id: UUID, account_id: UUID) -> HoldState:
        hold = self.holds.get(hold_id)
        if hold is None or hold.account_id != account_id or account_id not in self._accounts:
            raise HoldNotFound
        if not hold.is_active:
            raise HoldNotActive
        return hold

    def _counted(self, transfer: Transfer) -> AccountState | None:
        """The account that counts the transfer, if its limit allows it. Raises LimitExceeded."""
        if transfer.limit is None:
            return None
        counted = self._open_account(transfer.limit.account_id, transfer.currency)
        limits = transfer.limit.limits
        limits.check(transfer.amount, counted.sent_by(limits.day.date))
        return counted

    def _reversible(self, transfer: Transfer) -> OriginalState | None:
        if transfer.reverses is None:
            return None
        original = self.originals.get(transfer.reverses) or self._accepted(transfer.reverses)
        if original is None:
            raise OriginalNotFound
        if (original.debit_account_id, original.credit_account_id) != (
            transfer.credit_account_id,
            transfer.debit_account_id,
        ):
            raise ReversalMismatch
        remaining = original.amount - original.reversed
        if transfer.amount > remaining:
            raise ReversalExceedsOriginal(remaining=remaining)
        return original

    def _accepted(self, transfer_id: UUID) -> OriginalState | None:
        """The transfer, if it was accepted before and not reversed yet. A search, because a reversal is rare."""
        return next((_original(each) for each in self._transfers if each.id == transfer_id), None)


def _original(transfer: Transfer) -> OriginalState:
    return OriginalState(transfer.id, transfer.debit_account_id, transfer.credit_account_id, transfer.amount)


def _line(account: AccountState, transfer: Transfer, direction: Direction) -> EntryLine:
    return EntryLine(account.id, account.seq, transfer.id, direction, transfer.amount, account.balance)


def _assert_positive(amount: int) -> None:
    if amount <= 0:
        raise ValueError(f"an amount must be at least 1 paisa, not {amount}")
