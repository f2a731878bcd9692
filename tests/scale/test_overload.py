"""Floods: who did not cause one is served as before, everybody gets a word, and afterwards all is as it was."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.overload import QUIET, Question, Reckoning, Size, Stage, stage
from core.storage import keys
from tests.notices import left_out

PATIENCE_SECONDS = 120.0
SIZE = Size(rooms=40, waiting=5, workers=2)
LIMIT = 3.0
"""Times as long as before: beside other tests everything varies. ``benchmarks/overload.py`` measures finely."""


def median(questions: Sequence[Question]) -> float:
    assert all(question.done for question in questions)
    return statistics.median(question.took for question in questions)


def check(scene: Stage) -> Reckoning:
    """Everything that was ever asked has one answer or a notice, within the platform's limits."""
    result = scene.town.reckoning()
    assert result.silent == 0
    assert result.doubled == 0
    assert result.other == []
    # None on a machine of its own; a process that is kept from running makes late calls too close to others.
    assert scene.town.grounds.refused() < 0.02 * scene.town.grounds.place.calls()
    return result


async def waiting(redis: Any) -> int:
    """Entries of all mailboxes."""
    return sum([int(await redis.hget(keys.load(number), "") or 0) for number in range(keys.PARTITIONS)])


async def test_a_space_that_floods_slows_no_other(tmp_path: Path) -> None:
    async with stage("discord", SIZE, tmp_path) as scene:
        town = scene.town
        calm = await town.steadily(3.0, 5.0)
        flood = asyncio.create_task(town.flood(town.grounds.big, 4 * town.grounds.served, 6.0))
        beside = await town.steadily(3.0, 6.0)
        await flood
        await town.settle(PATIENCE_SECONDS)
        result = check(scene)
        assert median(beside) < LIMIT * median(calm)
        assert median(beside) < result.median_wait(town.grounds.big) / 2, "the flood waits for itself"
        assert not any(left_out(text) for room in town.grounds.quiet for _, text in town.grounds.said(room))
        assert result.notices >= SIZE.rooms / 2
        assert all(result.waits[room] for room in town.grounds.big), "the flood is answered as well, in every room"


async def test_ten_times_what_can_be_served_is_borne_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with stage("discord", SIZE, tmp_path) as scene:
        town = scene.town
        calm = await town.steadily(3.0, 5.0)
        everybody = [*town.grounds.quiet, *town.grounds.big]
        peaks: list[float] = []
        most = 0
        for _ in range(2):
            async with scene.watched() as seen:
                await town.flood(everybody, 10 * town.grounds.served, 4.0)
            most = max(most, await waiting(scene.redis))
            peaks.append(sum(seen.parley.values()))
        assert most <= _admitted(), "no queue grows with the load"
        assert peaks[1] < 1.2 * peaks[0]
        await town.settle(PATIENCE_SECONDS)
        result = check(scene)
        assert result.told > result.asked / 2
        assert await waiting(scene.redis) == 0
        assert median(await town.steadily(3.0, 5.0)) < LIMIT * median(calm), "without a restart"


def _admitted() -> int:
    """What may wait: of each quiet space one conversation's, of the big one a space's, and a notice in every room."""
    of_big = keys.PARTITIONS * max(SIZE.waiting, 2 * 10 * SIZE.waiting // keys.PARTITIONS)
    rooms = QUIET + SIZE.rooms
    return QUIET * SIZE.waiting + of_big + rooms
