"""Workers that die, stop or stand still: another goes on, and who comes back late writes and sends nothing."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from core.faults import Point
from tests.end_to_end.running import PATIENCE, DiscordChat, Parley, TelegramChat, until
from tests.scale.fleet import Fleet, fleet

WITHIN_SECONDS = 10.0
"""The promise for a dead worker's conversation: the lease and a sweep."""
DELAY_SECONDS = 5.0
"""The promise for messages during a rolling restart."""
Chat = TelegramChat | DiscordChat


def reply(body: dict[str, Any]) -> str:
    question = str(body["messages"][-1]["content"]).rpartition(": ")[2].rpartition("\n")[2]
    return f"re {question} " + "and so on " * 30 + "END"


def whole(chat: Chat, question: str) -> list[str]:
    return [text for text in chat.shown if text.startswith(f"re {question} ") and text.endswith("END")]


async def holder(town: Fleet) -> Parley:
    """Whoever answers now."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async for key in town.store.redis.scan_iter("parley:{*}:state:*"):
                name = str(await town.store.redis.hget(key, "holder") or "").partition("/")[0]
                for parley in town.processes.values():
                    if parley.command == ("work",) and identity(parley) == name:
                        return parley
            await asyncio.sleep(0.02)


def identity(parley: Parley) -> str:
    """What a process calls itself in the store."""
    return (Path(parley.environment["PARLEY_DATA"]) / "instance").read_text()


async def nothing_left(town: Fleet) -> None:
    """No turn, entry, lease of a conversation or wake-up stays behind; calls for a dead worker lapse by themselves."""
    deadline = time.monotonic() + 10
    running = [parley for parley in town.processes.values() if parley.process and parley.process.returncode is None]
    patterns = ["*:box:*", "*:turn:*", "*:ready", "*:load", "*:wake:*"]
    patterns += [f"*:calls:{identity(parley)}/*" for parley in running]
    left: list[str] = ["?"]
    while left and time.monotonic() < deadline:
        left = [str(key) for pattern in patterns async for key in town.store.redis.scan_iter(f"parley:{pattern}")]
        await asyncio.sleep(0.05)
    assert left == []
    called = [str(key) async for key in town.store.redis.scan_iter("parley:*:calls:*")]
    forever = -1
    assert [key for key in called if await town.store.redis.ttl(key) == forever] == []


def answered(town: Fleet) -> int:
    """Turns that their workers say they have answered."""
    return sum(event["event"] == "answered" for process in town.processes.values() for event in process.events)


def chat_on(town: Fleet, platform: str) -> Chat:
    return town.discord_chat() if platform == "discord" else town.telegram_chat()


async def start(town: Fleet, platform: str) -> None:
    """A receiver and two workers; a model that takes its time."""
    town.models.reply = reply
    town.models.first_token, town.models.tokens_per_second = 0.05, 40.0
    await asyncio.gather(
        town.start("receiver", "receive", platform), town.start("one", "work"), town.start("two", "work")
    )


@pytest.mark.parametrize("platform", ["telegram", "discord"])
async def test_a_worker_that_stood_still_finds_its_turn_taken_over(tmp_path: Path, platform: str) -> None:
    async with fleet(tmp_path) as town:
        await start(town, platform)
        chat = chat_on(town, platform)
        chat.say("question")
        first = await holder(town)
        await until(lambda: bool(town.models.requests), "the model is asked")
        assert first.process
        first.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        town.models.tokens_per_second = 1000.0
        try:
            await until(lambda: len(whole(chat, "question")) == 1, "another worker's answer")
            assert time.monotonic() - stopped < WITHIN_SECONDS
            await nothing_left(town)
            shown = chat.shown
        finally:
            first.process.send_signal(signal.SIGCONT)
        await until(lambda: any(event["event"] == "lease lost" for event in first.events), "the first one notices")
        chat.say("after")
        await until(lambda: len(whole(chat, "after")) == 1, "the next answer")
        assert chat.shown == [*shown, *whole(chat, "after")]
        assert len(town.models.requests) == 3
        # An answer is told of a moment after it is shown.
        await until(lambda: answered(town) >= 2, "both answers are told of")
        await nothing_left(town)
        assert answered(town) == 2
        assert town.discord.violations == []


@pytest.mark.parametrize("point", ["taken", "modelled", "slotted", "sent", "edited"])
async def test_a_dead_workers_turn_is_finished_by_another(tmp_path: Path, point: Point) -> None:
    now = tmp_path / "now"
    async with fleet(tmp_path) as town:
        town.models.reply = reply
        town.models.first_token, town.models.tokens_per_second = 0.05, 150.0
        fault = {"PARLEY_FAULT": point, "PARLEY_FAULT_WHEN": str(now)}
        await asyncio.gather(town.start("receiver", "receive", "telegram"), town.start("one", "work", **fault))
        chat = town.telegram_chat()
        now.touch()
        chat.say("question")
        assert await town.processes["one"].ended() == -signal.SIGKILL
        await town.start("two", "work")
        await until(lambda: len(whole(chat, "question")) == 1, "the answer")
        chat.say("after")
        await until(lambda: len(whole(chat, "after")) == 1, "the next answer")
        assert len(chat.shown) == 2
        await nothing_left(town)


async def test_a_rolling_restart_loses_and_delays_nothing(tmp_path: Path) -> None:
    async with fleet(tmp_path) as town:
        await start(town, "telegram")
        await town.start("standby", "receive", "telegram")
        town.models.tokens_per_second = 400.0
        waits: list[float] = []
        done = asyncio.Event()

        async def person(chat: TelegramChat) -> None:
            number = 0
            while not done.is_set():
                number += 1
                question, began = f"q{number}", time.monotonic()
                chat.say(question)
                while not whole(chat, question):
                    assert time.monotonic() - began < PATIENCE, f"no answer to {question}"
                    await asyncio.sleep(0.02)
                waits.append(time.monotonic() - began)
                await asyncio.sleep(0.1)
            assert len(chat.shown) == number

        people = [asyncio.create_task(person(town.telegram_chat(100 + number))) for number in range(6)]
        for name in ("one", "receiver", "two", "standby"):
            await asyncio.sleep(1.0)
            assert await town.processes[name].stop() == 0
            await town.start(name, *town.processes[name].command)
        await asyncio.sleep(0.5)
        done.set()
        await asyncio.gather(*people)
        usual = sorted(waits)[len(waits) // 2]
        assert max(waits) < usual + DELAY_SECONDS
        await nothing_left(town)
