"""Killed between any two steps of a turn, Parley loses nothing and doubles nothing, on both platforms."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.faults import POINTS, Point
from tests.end_to_end.running import Chat, DiscordChat, TelegramChat, Town, town, until

CHATS: dict[str, Callable[[Town], Chat]] = {
    "telegram-private": lambda town: TelegramChat(town, 77),
    "telegram-group": lambda town: TelegramChat(town, -100_500),
    "discord": DiscordChat,
}
SETTLE_SECONDS = 0.7
"""Time for a second answer to show itself."""


def reply(body: dict[str, Any]) -> str:
    """Long enough to be streamed in several shows; says which question it answers."""
    question = str(body["messages"][-1]["content"]).rpartition(": ")[2].rpartition("\n")[2]
    return f"re {question} " + "and so on " * 30 + "END"


def is_whole(text: str, question: str) -> bool:
    return f"re {question}" in text and text.endswith("END")


async def ask(town: Town, chat: Chat, question: str) -> None:
    chat.say(question)
    await until(lambda: any(is_whole(text, question) for text in chat.shown), f"the answer to {question}")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("kind", CHATS)
async def test_a_kill_at_any_step_loses_and_doubles_nothing(tmp_path: Path, kind: str, point: Point) -> None:
    other = "TELEGRAM_TOKEN" if kind == "discord" else "DISCORD_TOKEN"
    now = tmp_path / "now"
    async with town(tmp_path, **{other: ""}) as place:
        place.models.reply = reply
        place.models.first_token, place.models.tokens_per_second = 0.05, 150
        chat = CHATS[kind](place)
        await place.parley.start(PARLEY_FAULT=point, PARLEY_FAULT_WHEN=str(now))
        await ask(place, chat, "warm")
        asked_before = len(place.models.requests)

        now.touch()
        chat.say("question")
        assert await place.parley.ended() == -signal.SIGKILL
        await place.parley.start()
        await until(lambda: any(is_whole(text, "question") for text in chat.shown), "the answer after the kill")
        await ask(place, chat, "after")
        await asyncio.sleep(SETTLE_SECONDS)

        shown = chat.shown
        assert [is_whole(t, q) for t, q in zip(shown, ("warm", "question", "after"), strict=True)] == [True] * 3, shown
        assert len(place.models.requests) - asked_before <= 3
        assert place.discord.violations == []
