"""Post money: a batch of transfers whose keys are free in two statements, whatever its size.

Lock idempotency keys and accounts, decide, and write everything at once. A batch of 1 and a batch of 500 take the same
path; a statement more each reads the holds and the payments that are reversed, and locks the accounts where some keys
are known. The caller commits: everything in its transaction happens, or nothing does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.transaction import SessionTransaction, Transaction
from shared.db.writes import Write, write_all
from shared.errors import BatuaError
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim
from shared.ledger import sql
from shared.ledger.metrics import count_moved_after_commit
from shared.ledger.rules import Books, Command, Deciding, Outcome, Posted, Rejected, accounts_touched
from shared.ledger.sql import LockMode
from shared.outbox.messages import Message, rows_of
from shared.wakeups.commits import wake_after_commit


def _no_messages(_: Posted) -> Sequence[Message]:
    return ()


@dataclass(frozen=True, slots=True, eq=False)
class Instruction:
    """A command with what belongs in the same transaction: its idempotency key, the answer to store, the mail to send.

    `answer` and `messages` are pure functions: they may run more than once for the same outcome.
    """

    command: Command
    claim: Claim | None = None
    answer: Callable[[Posted], Answer] | None = None
    messages: Callable[[Posted], Sequence[Message]] = _no_messages

    def __post_init__(self) -> None:
        if (self.claim is None) != (self.answer is None):
            raise ValueError("a claim needs an answer to store, and an answer needs a claim")


@dataclass(frozen=True, slots=True)
class Replayed:
    """The key was used before for the same request. No money moved now; `answer` is the first answer."""

    command: Command
    answer: Answer


@dataclass(frozen=True, slots=True)
class Blocked:
    """Another transaction has locked an account that the command touches. Nothing happened: post it again later."""

    command: Command
    account_id: UUID


InstructionOutcome = Posted | Rejected | Replayed


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What follows from the outcomes of a request of many commands: the answer to store, and the mail to send.

    `moves_money` is False when no command is carried out, whatever its outcome; the answer is stored all the same.
    """

    answer: Answer
    messages: Sequence[Message]
    moves_money: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """Many commands of one request, with one key and one answer. `conclude` is pure: it may run more than once."""

    claim: Claim
    commands: Sequence[Command]
    conclude: Callable[[Sequence[Outcome]], Conclusion]


async def post(session: AsyncSession, commands: Sequence[Command]) -> list[Outcome]:
    """Decide and write the commands in order, in the caller's transaction. Answers the outcomes in the same order."""
    transaction = SessionTransaction(session)
    decided = await decide_locked(transaction, commands)
    await write_all(transaction, [decided.posting])
    wake_after_commit(session, accounts_changed(decided.outcomes))
    count_moved_after_commit(session, decided.outcomes)
    return decided.outcomes


async def post_one(session: AsyncSession, command: Command) -> Posted:
    """Post one command. Raises the error of a rejected command."""
    (outcome,) = await post(session, [command])
    if isinstance(outcome, Rejected):
        raise outcome.error
    return outcome


async def post_instructions(transaction: Transaction, instructions: Sequence[Instruction]) -> list[InstructionOutcome]:
    """Post the instructions whose keys are free; replay or reject the others. Answers the outcomes in the same order.

    They are decided in order, so a later copy of a key in the batch gets the answer of the first that was posted. A
    key is written together with its answer, so a rejected instruction leaves its key free. Raises NotAllWritten if a
    key was taken in the meantime, and the driver's error after LOCK_SECONDS without a lock: roll back, and post again.
    """
    known, books = await _look_up_and_lock(transaction, instructions, LockMode.IN_TIME)
    return await _post_decided(transaction, instructions, known, books)


async def post_unblocked(
    transaction: Transaction, instructions: Sequence[Instruction]
) -> list[InstructionOutcome | Blocked]:
    """The same, but wait for no account: what touches one that is locked elsewhere is Blocked, and the rest posted."""
    known, books = await _look_up_and_lock(transaction, instructions, LockMode.SKIP)
    touched = _touched(_fresh(instructions, known))
    missing = [account_id for account_id in touched if account_id not in books.accounts]
    locked = await sql.existing_accounts(transaction, missing) if missing else set()

    def blocking(instruction: Instruction) -> UUID | None:
        if instruction.claim is not None and instruction.claim.name in known:
            return None
        return min(locked.intersection(accounts_touched(instruction.command)), default=None)

    behind = [blocking(each) for each in instructions]
    free = [each for each, account_id in zip(instructions, behind, strict=True) if account_id is None]
    outcomes = iter(await _post_decided(transaction, free, known, books))
    return [
        next(outcomes) if account_id is None else Blocked(each.command, account_id)
        for each, account_id in zip(instructions, behind, strict=True)
    ]


async def post_together(transaction: Transaction, together: Together) -> tuple[Answer, Sequence[Outcome]]:
    """Post the commands in order, under their one key. Answers the outcomes too, none if nothing moved now.

    A known key gets its first answer. Raises IdempotencyKeyReused, RequestInFlight; NotAllWritten, and the driver's
    error after LOCK_SECONDS, as `post_instructions` does.
    """
    claim, commands = together.claim, together.commands
    found = await sql.look_up_and_lock(transaction, [claim], _touched(commands), commands, LockMode.IN_TIME)
    if not isinstance(found, Books):
        earlier = found[claim.name].answer_to(claim)
        if isinstance(earlier, BatuaError):
            raise earlier
        return earlier, ()
    decided = decide_on(found, commands)
    conclusion = together.conclude(decided.outcomes)
    writes = [store.answered([(claim, conclusion.answer)], at=decided.at), rows_of(conclusion.messages)]
    if not conclusion.moves_money:
        await write_all(transaction, writes)
        return conclusion.answer, ()
    await write_all(transaction, [decided.posting, *writes])
    return conclusion.answer, decided.outcomes


def accounts_changed(outcomes: Iterable[InstructionOutcome | Blocked]) -> set[UUID]:
    """The accounts whose owners see something new once this is committed."""
    posted = [outcome.command for outcome in outcomes if isinstance(outcome, Posted)]
    return {account_id for command in posted for account_id in accounts_touched(command)}


@dataclass(frozen=True, slots=True)
class Decided:
    """What the rules decided under the locks: the outcomes, and what writes them. `at` is UTC."""

    outcomes: list[Outcome]
    posting: Write
    at: datetime


_KnownKeys = dict[store.KeyName, store.Known]


async def _look_up_and_lock(
    transaction: Transaction, instructions: Sequence[Instruction], mode: LockMode
) -> tuple[_KnownKeys, Books]:
    """What is known of the keys that are not free, and the books of the commands that are not answered by it."""
    claims = {each.claim.name: each.claim for each in instructions if each.claim is not None}
    commands = [each.command for each in instructions]
    found = await sql.look_up_and_lock(transaction, list(claims.values()), _touched(commands), commands, mode)
    if isinstance(found, Books):
        return {}, found
    return found, await _lock(transaction, _fresh(instructions, found), mode)


def _fresh(instructions: Sequence[Instruction], known: _KnownKeys) -> list[Command]:
    """The commands that are not answered yet."""
    return [each.command for each in instructions if each.claim is None or each.claim.name not in known]


def _touched(commands: Sequence[Command]) -> list[UUID]:
    return list({account_id for command in commands for account_id in accounts_touched(command)})


async def _post_decided(
    transaction: Transaction,
    instructions: Sequence[Instruction],
    known: _KnownKeys,
    books: Books,
) -> list[InstructionOutcome]:
    """Decide under the locks, and write."""
    at = clock.now()
    deciding = Deciding(books, at)
    outcomes: list[InstructionOutcome] = []
    answers: list[tuple[Claim, Answer]] = []
    messages: list[Message] = []
    for instruction in instructions:
        claim = instruction.claim
        if claim is not None and claim.name in known:
            outcomes.append(_answer_known(instruction, known[claim.name].answer_to(claim)))
            continue
        outcome = deciding.decide(instruction.command)
        outcomes.append(outcome)
        if isinstance(outcome, Posted):
            messages += instruction.messages(outcome)
            if claim is not None and instruction.answer is not None:
                answer = instruction.answer(outcome)
                answers.append((claim, answer))
                known[claim.name] = store.Known(claim.fingerprint, claim.field_hashes, answer)
    posted = [outcome for outcome in outcomes if isinstance(outcome, Posted)]
    rows = sql.posting_of(deciding.changed, posted, at=at)
    await write_all(transaction, [rows, store.answered(answers, at=at), rows_of(messages)])
    return outcomes


async def _lock(transaction: Transaction, commands: Sequence[Command], mode: LockMode) -> Books:
    """Lock the accounts that the commands touch, and read what the rules need."""
    touched = _touched(commands)
    return await sql.lock_books(transaction, touched, commands, mode) if touched else Books({})


async def decide_locked(transaction: Transaction, commands: Sequence[Command]) -> Decided:
    """Lock the accounts, and decide. The caller writes `posting`, together with rows of its own."""
    return decide_on(await _lock(transaction, commands, LockMode.WAIT), commands)


def decide_on(books: Books, commands: Sequence[Command]) -> Decided:
    """Decide on books whose accounts the caller has locked."""
    at = clock.now()
    deciding = Deciding(books, at)
    outcomes = [deciding.decide(command) for command in commands]
    posted = [outcome for outcome in outcomes if isinstance(outcome, Posted)]
    return Decided(outcomes, sql.posting_of(deciding.changed, posted, at=at), at)


def _answer_known(instruction: Instruction, earlier: Answer | BatuaError) -> InstructionOutcome:
    if isinstance(earlier, BatuaError):
        return Rejected(instruction.command, earlier)
    return Replayed(instruction.command, earlier)
