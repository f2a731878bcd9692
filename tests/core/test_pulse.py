"""The file for probes: as young as the event loop is lively, and gone with the process."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core import pulse
from core.tasks import end


async def until_it_says(path: Path, word: str) -> None:
    async with asyncio.timeout(10):
        while not path.exists() or path.read_text().strip() != word:
            await asyncio.sleep(0.005)


async def test_it_tells_starting_from_ready_and_leaves_nothing(tmp_path: Path) -> None:
    ready = asyncio.Event()
    beating = asyncio.create_task(pulse.beat(tmp_path, ready))
    await until_it_says(tmp_path / "pulse", "starting")
    ready.set()
    await until_it_says(tmp_path / "pulse", "ready")
    await end([beating])
    assert list(tmp_path.iterdir()) == []


async def test_it_stays_young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.01)
    ready = asyncio.Event()
    ready.set()
    beating = asyncio.create_task(pulse.beat(tmp_path, ready))
    path = tmp_path / "pulse"
    await until_it_says(path, "ready")
    os.utime(path, (1, 1))
    async with asyncio.timeout(10):
        while path.stat().st_mtime < 2:
            await asyncio.sleep(0.005)
    await end([beating])


async def test_a_lost_file_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.01)
    ready = asyncio.Event()
    ready.set()
    beating = asyncio.create_task(pulse.beat(tmp_path, ready))
    await until_it_says(tmp_path / "pulse", "ready")
    with capture_logs() as logs:
        (tmp_path / "pulse").unlink()
        await until_it_says(tmp_path / "pulse", "ready")
    assert logs == [], "another process that ended is no trouble"
    await end([beating])


def test_a_beat_may_be_late_several_times_before_the_process_counts_as_hung() -> None:
    assert pulse.STALE_SECONDS >= 4 * pulse.BEAT_SECONDS
