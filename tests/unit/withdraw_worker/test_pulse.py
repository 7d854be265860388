"""The worker's heart beats while the dispatcher looks for withdrawals, and not when it has stopped to."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import cast

import pytest

from services.withdraw_worker import pulse
from services.withdraw_worker.pulse import STUCK_SECONDS, beat_while_it_looks, carry_out
from services.withdraw_worker.resources import WorkerResources
from shared.runtime.heartbeat import Heartbeat
from shared.withdrawals.dispatcher import Dispatcher

SWEEP_SECONDS = 10.0


class _Timings:
    sweep_seconds = SWEEP_SECONDS


class _Settings:
    withdrawals = _Timings()


class _Looks:
    """A dispatcher that last looked so many seconds ago."""

    def __init__(self, seconds_since_look: float, error: Exception | None = None) -> None:
        self.seconds_since_look = seconds_since_look
        self.settings, self.dispatcher = _Settings(), self
        self._error = error

    async def run(self, _is_stopping: object) -> None:
        await asyncio.sleep(0)
        if self._error:
            raise self._error


async def _beats(file: Path, looks: _Looks) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await beat_while_it_looks(cast(Dispatcher, looks), Heartbeat(file), SWEEP_SECONDS)
    return await asyncio.to_thread(file.exists)


async def test_it_beats_while_the_dispatcher_looks(tmp_path: Path) -> None:
    assert await _beats(tmp_path / "heartbeat", _Looks(SWEEP_SECONDS + STUCK_SECONDS - 1))


async def test_it_does_not_beat_for_a_dispatcher_that_is_stuck(tmp_path: Path) -> None:
    assert not await _beats(tmp_path / "heartbeat", _Looks(SWEEP_SECONDS + STUCK_SECONDS + 1))


async def test_it_ends_with_the_dispatcher(tmp_path: Path) -> None:
    await carry_out(cast(WorkerResources, _Looks(0)), Heartbeat(tmp_path / "heartbeat"), lambda: True)
    assert await asyncio.to_thread((tmp_path / "heartbeat").exists)


async def test_a_dispatcher_that_fails_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 3600.0)
    broken = _Looks(0, RuntimeError("broken"))
    with pytest.raises(ExceptionGroup):
        await carry_out(cast(WorkerResources, broken), Heartbeat(tmp_path / "heartbeat"), lambda: True)
