"""Scale, in trouble: how long a dead worker's conversations stand still, and what a rolling restart delays."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Row, percentile
from benchmarks.fleet import Fleet
from benchmarks.people import Crowd, Place, Question, TelegramPlace
from benchmarks.processes import FIRST_TOKEN_SECONDS, stub
from benchmarks.turn import valkey
from core.message import ConversationKey, Platform
from core.storage.client import Store
from core.storage.keys import ConversationKeys
from tests.platforms.telegram_server import TelegramServer

LONG_TOKENS, LONG_PER_SECOND = 400, 20.0
"""An answer of 20 seconds: longer than the grace time of a process that is told to stop."""
LONG_PATIENCE_SECONDS = 90.0
STREAMED_SECONDS = 3.0
"""Answers have run for so long when their worker ends."""
IN_FLIGHT_SECONDS = 0.1
"""A call that the worker had sent off before it died may still come in."""
CHATS_PER_SECOND = 8.0
REST_SECONDS = 2.0
"""Between two restarts."""
MOST_TAKEOVER_SECONDS = 10.0
MOST_DELAY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class FaultSize:
    """How much is measured."""

    chats: int = 16
    """Answers that run when a worker ends; about half of them are its own."""
    rounds: int = 2
    """Rolling restarts of the whole fleet."""


async def takeover(size: FaultSize, work: Path) -> list[Row]:
    """A worker is killed, another one is told to stop, while both stream long answers."""
    rows: list[Row] = []
    async with stub(work, tokens=LONG_TOKENS, per_second=LONG_PER_SECOND) as model:
        for how in ("killed", "stopped"):
            folder = work / how
            async with valkey(folder / "v") as server, TelegramServer() as fake:
                place = TelegramPlace(fake)
                async with Fleet({**model, **place.env(), "REDIS_URL": server.url}, folder) as fleet:
                    await fleet.start("receive", "receive", "telegram")
                    for name in ("work-0", "work-1"):
                        await fleet.start(name, "work")
                    rows += await _lose_a_worker(how, size, place, fleet, server.url)
    return rows


async def _lose_a_worker(how: str, size: FaultSize, place: TelegramPlace, fleet: Fleet, url: str) -> list[Row]:
    crowd = Crowd(place)
    await crowd.at_once(2, 1, LONG_PATIENCE_SECONDS)
    asked = [crowd.ask(chat) for chat in place.chats(size.chats)]
    await asyncio.sleep(STREAMED_SECONDS)
    holders = await _holders(url, str(place.server.me["id"]), asked)
    lost = [question for question in asked if holders[question.chat] == fleet.identity("work-0")]
    ended = time.time()
    ending = asyncio.create_task(fleet.kill("work-0") if how == "killed" else fleet.stop("work-0"))
    await asyncio.gather(*(crowd.see(question, LONG_PATIENCE_SECONDS) for question in asked))
    await ending
    pauses = [_longest_pause(place, question, ended) for question in lost]
    name = f"a worker is {how}"
    return [
        Row(f"{name}: its conversations", len(lost), ""),
        Row(f"{name}: they stand still for, median", statistics.median(pauses) if pauses else None, "s"),
        Row(f"{name}: they stand still for, longest", max(pauses, default=None), "s", MOST_TAKEOVER_SECONDS),
        Row(f"{name}: answers lost", sum(question.done is None for question in asked), "", 0),
        Row(f"{name}: answers doubled", crowd.doubled(asked), "", 0),
    ]


async def _holders(url: str, bot: str, questions: Sequence[Question]) -> dict[str, str]:
    """Chat -> the worker that answers there."""
    store = Store(url)
    try:
        keys = {q.chat: ConversationKeys.of(ConversationKey(Platform.TELEGRAM, bot, q.chat)).state for q in questions}
        return {chat: await store.redis.hget(key, "holder") or "" for chat, key in keys.items()}
    finally:
        await store.close()


def _longest_pause(place: Place, question: Question, since: float) -> float:
    """Between two things shown, from the moment on; the first counts from there."""
    times = sorted(at for at, text, _ in place.shown(question) if at > since + IN_FLIGHT_SECONDS and text.strip())
    return max((later - earlier for earlier, later in zip([since, *times], times, strict=False)), default=float("inf"))


async def rolling(size: FaultSize, work: Path) -> list[Row]:
    """Two receivers and two workers are restarted one after another, each ended before its successor starts."""
    async with stub(work) as model, valkey(work / "v") as server, TelegramServer() as fake:
        place = TelegramPlace(fake)
        async with Fleet({**model, **place.env(), "REDIS_URL": server.url}, work) as fleet:
            members = {"receive-0": ("receive", "telegram"), "receive-1": ("receive", "telegram")}
            members |= {"work-0": ("work",), "work-1": ("work",)}
            for name, command in members.items():
                await fleet.start(name, *command)
            crowd = Crowd(place)
            await crowd.at_once(4, 1, LONG_PATIENCE_SECONDS)
            writing = asyncio.create_task(_write(crowd, place, stop := asyncio.Event()))
            for _ in range(size.rounds):
                for name in members:
                    await asyncio.sleep(REST_SECONDS)
                    await fleet.restart(name)
            await asyncio.sleep(REST_SECONDS)
            stop.set()
            asked = await writing
            await asyncio.sleep(1.0)
    delays = [question.first - question.asked - FIRST_TOKEN_SECONDS for question in asked if question.first is not None]
    name = f"rolling restart of {len(members)} processes, {size.rounds} times"
    return [
        Row(f"{name}: messages meanwhile", len(asked), ""),
        Row(f"{name}: delay of the first text, median", statistics.median(delays) if delays else None, "s"),
        Row(f"{name}: the same, p95", percentile(delays, 0.95), "s"),
        Row(f"{name}: the same, longest", max(delays, default=None), "s", MOST_DELAY_SECONDS),
        Row(f"{name}: lost", sum(question.done is None for question in asked), "", 0),
        Row(f"{name}: doubled", crowd.doubled(asked), "", 0),
    ]


async def _write(crowd: Crowd, place: Place, stop: asyncio.Event) -> list[Question]:
    """People of ever new chats ask one question each, at a steady pace."""
    waiting: list[asyncio.Task[Question]] = []
    while not stop.is_set():
        question = crowd.ask(place.chats(1)[0])
        waiting.append(asyncio.create_task(crowd.see(question, LONG_PATIENCE_SECONDS)))
        await asyncio.sleep(1 / CHATS_PER_SECOND)
    return list(await asyncio.gather(*waiting))
