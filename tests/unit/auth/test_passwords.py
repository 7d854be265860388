from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Literal
from uuid import UUID

import bcrypt
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.auth import passwords
from shared.auth.address_places import AddressPlaces, Place
from shared.auth.errors import HashingBusy
from shared.auth.hashing_queue import Asker
from shared.auth.passwords import Hasher
from shared.callers import Caller, CallerLeft
from shared.config import PasswordSettings
from shared.ids import new_id, new_token
from tests.support.deadlines import deadline
from tests.support.peppers import PEPPER


def settings(pepper: str = PEPPER) -> PasswordSettings:
    return PasswordSettings(pin_pepper=SecretStr(pepper), bcrypt_rounds=4)


Form = Literal["NFC", "NFD"]
FORMS: st.SearchStrategy[Form] = st.sampled_from(["NFC", "NFD"])
a_few_times = hypothesis_settings(max_examples=25)


@pytest.fixture
def hasher() -> Iterator[Hasher]:
    made = Hasher(settings())
    yield made
    made.close()


async def matches(hasher: Hasher, password: str, password_hash: str | None) -> bool:
    async with hasher.core() as core:
        return await core.verify(password, password_hash)


async def test_only_the_right_password_matches(hasher: Hasher) -> None:
    stored = await hasher.hash_password("correct horse")
    assert await matches(hasher, "correct horse", stored)
    assert not await matches(hasher, "wrong horse", stored)
    assert not await matches(hasher, "x" * 300, stored)
    assert not await matches(hasher, "with a \x00 inside", stored)


async def test_a_password_of_72_bytes_is_compared_to_its_end(hasher: Hasher) -> None:
    stored = await hasher.hash_password("x" * 72)
    assert await matches(hasher, "x" * 72, stored)
    assert not await matches(hasher, "x" * 71 + "y", stored)
    assert not await matches(hasher, "x" * 73, stored)


async def test_a_long_password_of_any_script_is_compared_to_its_end(hasher: Hasher) -> None:
    stored = await hasher.hash_password("क" * 72)
    assert await matches(hasher, "क" * 72, stored)
    assert not await matches(hasher, "क" * 71 + "ख", stored)
    assert not await matches(hasher, "क" * 24, stored)


@given(st.text(min_size=1, max_size=12), FORMS, FORMS)
@a_few_times
def test_a_password_matches_however_it_is_spelled(password: str, first: Form, then: Form) -> None:
    async def both() -> bool:
        hasher = Hasher(settings())
        stored = await hasher.hash_password(unicodedata.normalize(first, password))
        found = await matches(hasher, unicodedata.normalize(then, password), stored)
        hasher.close()
        return found

    assert asyncio.run(both())


async def test_a_hash_from_before_matches_what_was_typed_then(hasher: Hasher) -> None:
    typed = "Jose\u0301 Jose\u0301"
    before = bcrypt.hashpw(typed.encode(), bcrypt.gensalt(4)).decode()
    async with hasher.core() as core:
        assert await core.matching_form(typed, before) == typed
        assert await core.matching_form("José José", before) is None
    now = await hasher.hash_password(typed)
    async with hasher.core() as core:
        assert await core.matching_form(typed, now) == "José José"


async def test_the_second_comparison_is_made_only_when_the_forms_differ(
    hasher: Hasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await hasher.hash_password("correct horse")
    check, made = bcrypt.checkpw, 0

    def counting(password: bytes, hashed: bytes) -> bool:
        nonlocal made
        made += 1
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    for password, comparisons in (("guess", 1), ("José", 1), ("Jose\u0301", 2), ("a\u00a0b", 2)):
        for password_hash in (stored, None):
            made = 0
            assert not await matches(hasher, password, password_hash)
            assert made == comparisons, "a known owner and an unknown one cost the same"


async def test_an_unknown_owner_costs_as_many_rounds(hasher: Hasher, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def counting(password: bytes, hashed: bytes) -> bool:
        compared.append(hashed)
        return check(password, hashed)

    check = bcrypt.checkpw
    monkeypatch.setattr(bcrypt, "checkpw", counting)
    stored = await hasher.hash_password("correct horse")
    for password, password_hash in (("guess", stored), ("guess", None), ("x" * 100, stored)):
        assert not await matches(hasher, password, password_hash)
    assert [each[:7] for each in compared] == [b"$2b$04$"] * 3


async def test_a_pin_hash_matches_only_with_its_pepper(hasher: Hasher) -> None:
    stored = await hasher.hash_pin("1234")
    other = Hasher(settings("another pepper"))
    assert await hasher.verify_pin("1234", stored)
    assert not await other.verify_pin("1234", stored)
    assert not await matches(hasher, "1234", stored)
    other.close()


@pytest.mark.parametrize("processes", [1, 2, 1000])
async def test_at_most_one_hash_per_core_and_one_of_a_newcomer_run_at_once(
    monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    hasher = Hasher(settings(), processes=processes)
    lock, running, most = threading.Lock(), 0, 0
    hash_it = bcrypt.hashpw

    def watching(password: bytes, salt: bytes) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            time.sleep(0.01)  # lets others begin, if they may
            return hash_it(password, salt)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(bcrypt, "hashpw", watching)
    askers = [Asker.owner(new_id(), f"192.0.2.{number}") for number in range(40)]  # none waits for a place of another
    await asyncio.gather(*(hasher.hash_password("correct horse", asker) for asker in askers))
    hasher.close()
    assert 1 <= most <= max(1, 4 // processes) + passwords.NEWCOMERS, "processes share the cores out"


async def test_a_full_queue_raises_hashing_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 3)
    hasher = Hasher(settings())
    results = await asyncio.gather(*(hasher.hash_password("correct horse") for _ in range(40)), return_exceptions=True)
    assert any(isinstance(result, HashingBusy) for result in results)
    assert await hasher.hash_password("correct horse")
    hasher.close()


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hasher]:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    made = Hasher(settings())
    yield made
    made.close()


async def test_a_stranger_waits_for_the_hash_under_way_and_no_other(one_core: Hasher) -> None:
    begun: list[str] = []

    async def hash_for(asker: Asker, name: str) -> None:
        async with one_core.core(asker):
            begun.append(name)
            await asyncio.sleep(0)

    mallory = Asker.owner(new_id(), "192.0.2.1")
    async with one_core.core(mallory):
        flood = [asyncio.create_task(hash_for(mallory, "mallory")) for _ in range(150)]
        await asyncio.sleep(0)
        stranger = asyncio.create_task(hash_for(Asker.stranger("asha@example.com", "192.0.2.1"), "asha"))
        await asyncio.sleep(0)
    results = await asyncio.gather(stranger, *flood, return_exceptions=True)
    assert begun[0] == "asha"
    assert Counter(type(result) for result in results) == {type(None): 41, HashingBusy: 110}
    pauses = {each.retry_after_seconds for each in results if isinstance(each, HashingBusy)}
    assert len(pauses) > 1, "all of them would come again together"
    assert min(pauses) > 0


async def test_one_newcomer_does_not_wait_for_the_hash_of_another(one_core: Hasher) -> None:
    def until_begun(who: UUID, address: str) -> asyncio.Task[None]:
        return asyncio.create_task(enter(Asker.owner(who, address)))

    async def enter(asker: Asker) -> None:
        async with one_core.core(asker):
            begun.append(asker.who)
            await may_end.wait()

    begun: list[UUID | str] = []
    may_end = asyncio.Event()
    mallory, asha, ravi = new_id(), new_id(), new_id()
    tasks = [until_begun(mallory, "192.0.2.1")]
    await asyncio.sleep(0)
    tasks += [until_begun(mallory, "192.0.2.9"), until_begun(new_id(), "192.0.2.1")]
    await asyncio.sleep(0)
    assert begun == [mallory], "neither this owner nor this address has a second one"
    tasks += [until_begun(asha, "192.0.2.2")]
    await asyncio.sleep(0)
    assert begun == [mallory, asha]
    tasks += [until_begun(ravi, "192.0.2.3")]
    await asyncio.sleep(0)
    assert begun == [mallory, asha], "there is one place for newcomers"
    may_end.set()
    await asyncio.gather(*tasks)
    assert len(begun) == 5
    assert not one_core.waiting


@pytest.mark.skipif(sys.platform != "linux", reason="an address has places of the machine on Linux")
async def test_processes_hash_in_turn_for_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    pepper = new_token()
    both = [Hasher(settings(pepper), processes=2) for _ in range(2)]  # as two processes have one each
    lock, running, most = threading.Lock(), 0, 0
    begun: list[int] = []

    def watching(password: bytes, _salt: bytes) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            begun.append(int(password))
        time.sleep(0.01)  # lets one of the other process begin, if it may
        with lock:
            running -= 1
        return b"hash"

    monkeypatch.setattr(bcrypt, "hashpw", watching)
    flood = Asker.owner(new_id(), "192.0.2.1")
    waiting = [hasher.hash_password(f"{number}", flood) for number, hasher in enumerate(both) for _ in range(10)]
    async with asyncio.timeout(deadline()):
        await asyncio.gather(*waiting)
        assert most == 1
        assert 0 in begun[:10]
        assert 1 in begun[:10], "neither process waits until the other has no more"
        async with both[0].core(flood), both[1].core(Asker.owner(new_id(), "192.0.2.2")):
            pass  # another address has places of its own
    for hasher in both:
        hasher.close()


@pytest.mark.skipif(sys.platform != "linux", reason="an address has places of the machine on Linux")
@pytest.mark.parametrize("is_other_process", [False, True])
async def test_who_asks_again_at_once_goes_after_others_of_the_address(
    monkeypatch: pytest.MonkeyPatch, is_other_process: bool
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(passwords, "LOOK_SECONDS", 0.5)  # "at once" is all of it, also on a busy machine
    pepper = new_token()
    of_mallory, other = (Hasher(settings(pepper), processes=2) for _ in range(2))
    begun: list[str] = []

    async def hash_for(hasher: Hasher, asker: Asker, name: str) -> None:
        async with hasher.core(asker):
            begun.append(name)

    mallory = Asker.stranger("a guess", "192.0.2.1")
    asha = Asker.owner(new_id(), "192.0.2.1")
    async with of_mallory.core(mallory):
        first = asyncio.create_task(hash_for(other if is_other_process else of_mallory, asha, "asha"))
        await asyncio.sleep(0)
    async with asyncio.timeout(deadline()):
        await asyncio.gather(hash_for(of_mallory, mallory, "mallory"), first)
    assert begun == ["asha", "mallory"]
    for hasher in (of_mallory, other):
        hasher.close()


@pytest.mark.skipif(sys.platform != "linux", reason="an address has places of the machine on Linux")
async def test_many_who_wait_at_one_address_ask_for_its_place_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(passwords, "LOOK_SECONDS", 3600.0)  # a look only when a hash ends
    pepper = new_token()
    hasher, other = (Hasher(settings(pepper)) for _ in range(2))
    asked: list[str] = []
    take = AddressPlaces.take

    def counting(places: AddressPlaces, address: str) -> Place | None:
        asked.append(address)
        return take(places, address)

    async with other.core(Asker.stranger("a guess", "192.0.2.1")):
        guesses = [Asker.stranger(f"guess {number}", "192.0.2.1") for number in range(20)]
        waiting = [asyncio.create_task(hasher.hash_password("a guess", guess)) for guess in guesses]
        await asyncio.sleep(0)
        monkeypatch.setattr(AddressPlaces, "take", counting)
        async with hasher.core(Asker.owner(new_id(), "192.0.2.2")):
            pass
    assert asked == ["192.0.2.2", "192.0.2.1"]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for each in (hasher, other):
        each.close()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux")
async def test_hashes_of_an_address_with_more_waiting_go_last(
    one_core: Hasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []

    def watching(_password: bytes, _salt: bytes) -> bytes:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return b"hash"

    monkeypatch.setattr(bcrypt, "hashpw", watching)
    asker = Asker.owner(new_id(), "192.0.2.1")
    await asyncio.gather(*(one_core.hash_password("correct horse", asker) for _ in range(3)))
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    many, alone = max(own, passwords.NICENESS_OF_MANY), max(own, passwords.NICENESS)
    assert found == [alone, many, alone], "the first found no other, and the last left none behind"


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux")
async def test_payments_go_before_hashes(hasher: Hasher, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    hash_it = bcrypt.hashpw

    def watching(password: bytes, salt: bytes) -> bytes:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return hash_it(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", watching)
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    await hasher.hash_password("correct horse")
    assert found == [max(own, passwords.NICENESS)]


async def test_a_hash_waits_for_a_bounded_time(one_core: Hasher, monkeypatch: pytest.MonkeyPatch) -> None:
    async with one_core.core():
        with monkeypatch.context() as short:
            short.setattr(passwords, "WAIT_SECONDS", 0.01)
            with pytest.raises(HashingBusy):
                await one_core.hash_password("correct horse")
    assert await one_core.hash_password("correct horse")


async def test_a_caller_who_leaves_makes_room(one_core: Hasher) -> None:
    async def called(caller: Caller) -> None:
        caller.is_served()
        await one_core.hash_password("correct horse")

    callers = [Caller() for _ in range(5)]
    async with one_core.core():
        waiting = [asyncio.create_task(called(caller)) for caller in callers]
        await asyncio.sleep(0)
        for caller in callers:
            caller.leave()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [CallerLeft] * 5
        staying = asyncio.create_task(one_core.hash_password("correct horse"))
        await asyncio.sleep(0)
    assert await staying
    assert await one_core.hash_password("correct horse")


async def test_a_turn_that_comes_as_its_task_is_cancelled_goes_to_the_next(one_core: Hasher) -> None:
    async with one_core.core():
        cancelled, next_one = (asyncio.create_task(one_core.hash_password("correct horse")) for _ in range(2))
        await asyncio.sleep(0)
    cancelled.cancel()  # its turn has come, and it has not noticed yet
    assert await next_one
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await one_core.hash_password("correct horse")
