"""The queue between gateway and inbox: order, bounds, holding back, and a storage that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from bots.discord_bot.intake import Intake
from core.message import Author, ConversationKey, Message, Platform
from tests.bots.discord_bot.running import ListInbox, until


def message(text: str, chat: str = "1") -> Message:
    key = ConversationKey(Platform.DISCORD, "9", chat)
    return Message(key, text, text, Author("5", "Alice"), text, 0.0, private=True)


MOST = 300


class Line:
    """A queue that is being drained."""

    def __init__(self) -> None:
        self.inbox = ListInbox()
        self.overflows = 0
        self.queue = Intake(self.overflow, MOST)

    def overflow(self) -> None:
        self.overflows += 1

    def updates(self) -> list[str]:
        return [value.update for value in self.inbox.accepted]


@pytest.fixture
async def line() -> AsyncGenerator[Line]:
    made = Line()
    task = asyncio.create_task(made.queue.drain(made.inbox))
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_order_and_batches(line: Line) -> None:
    for number in range(250):
        line.queue.put(message(str(number)))
    await until(lambda: len(line.inbox.accepted) == 250)
    assert line.updates() == [str(number) for number in range(250)]
    assert line.inbox.batches == [100, 100, 50]


async def test_over_the_bound_the_newest_is_dropped_and_looked_up_again(line: Line) -> None:
    for number in range(MOST + 3):
        line.queue.put(message(str(number)))
    await until(lambda: line.overflows == 1)
    assert line.updates() == [str(number) for number in range(MOST)]
    line.queue.put(message("late"))
    await until(lambda: len(line.inbox.accepted) == MOST + 1)
    assert line.overflows == 1


async def test_held_channels_wait_for_their_history_and_others_do_not(line: Line) -> None:
    line.queue.pause()
    line.queue.put(message("early", "1"))
    line.queue.put(message("other", "2"))
    await asyncio.sleep(0.02)
    assert line.updates() == []
    line.queue.hold(["1", "3"])
    line.queue.put(message("late", "1"))
    line.queue.put(message("another", "2"))
    await until(lambda: len(line.inbox.accepted) == 2)
    assert line.updates() == ["other", "another"]
    line.queue.release("1", [message("missed", "1")])
    await until(lambda: len(line.inbox.accepted) == 5)
    assert line.updates()[2:] == ["missed", "early", "late"]


async def test_a_second_catch_up_keeps_what_the_first_held_back(line: Line) -> None:
    line.queue.hold(["1"])
    line.queue.put(message("a", "1"))
    line.queue.pause()
    line.queue.put(message("b", "1"))
    line.queue.hold(["2"])
    await until(lambda: len(line.inbox.accepted) == 2)
    assert line.updates() == ["a", "b"]


async def test_what_is_oldest_is_found_wherever_it_waits() -> None:
    queue = Intake(lambda: None, MOST)
    queue.hold(["1"])
    queue.put(message("old", "1"))
    await asyncio.sleep(0.05)
    queue.put(message("new", "2"))
    queue.release("1", [])
    assert queue.age >= 0.05


async def test_the_end_stores_everything_but_does_not_wait_for_ever() -> None:
    line = Line()
    line.queue.hold(["1"])
    line.queue.put(message("new", "1"))
    line.queue.put(replace(message("edit", "1"), edited=True))
    line.queue.put(message("waiting", "2"))
    await line.queue.finish(line.inbox, 1.0)
    # What is new stands in the history that its channel waits for.
    assert sorted(line.updates()) == ["edit", "waiting"]
    line.inbox.failures = 1000
    line.queue.put(message("lost"))
    await line.queue.finish(line.inbox, 0.05)
    assert len(line.inbox.accepted) == 2
