"""Killed between any two steps of a turn, Parley loses nothing and doubles nothing, on every platform."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from core.faults import POINTS, Point
from tests.end_to_end.running import DiscordChat, TelegramChat, Town, town, until
from tests.end_to_end.web_page import WebPage, web_page
from tests.ports import free_port

Chat = TelegramChat | DiscordChat | WebPage
CHATS: dict[str, Callable[[Town], AbstractAsyncContextManager[Chat]]] = {
    "telegram-private": lambda town: nullcontext(TelegramChat(town, 77)),
    "telegram-group": lambda town: nullcontext(TelegramChat(town, -100_500)),
    "discord": lambda town: nullcontext(DiscordChat(town)),
    "web": lambda town: web_page(town.parley),
}
SETTLE_SECONDS = 0.7
"""Time for a second answer to show itself."""


def reply(body: dict[str, Any]) -> str:
    """Long enough to be streamed in several shows; says which question it answers."""
    question = str(body["messages"][-1]["content"]).rpartition(": ")[2].rpartition("\n")[2]
    return f"re {question} " + "and so on " * 30 + "END"


def is_whole(text: str, question: str) -> bool:
    return f"re {question}" in text and text.endswith("END")


async def answered(chat: Chat, question: str) -> None:
    await until(lambda: any(is_whole(text, question) for text in chat.shown), f"the answer to {question}")


async def ask(chat: Chat, question: str) -> None:
    chat.say(question)
    await answered(chat, question)


@asynccontextmanager
async def town_for(kind: str, folder: Path) -> AsyncGenerator[Town]:
    """With the one platform that the chat takes place on."""
    on = {"discord": "DISCORD_TOKEN", "web": "PARLEY_WEB_PORT"}.get(kind, "TELEGRAM_TOKEN")
    off = {"DISCORD_TOKEN": "", "TELEGRAM_TOKEN": "", "PARLEY_WEB_PORT": "0"}
    off.pop(on)
    if kind == "web":
        # The same one after the restart.
        off["PARLEY_WEB_PORT"] = str(free_port())
    async with town(folder, **off) as place:
        place.models.reply = reply
        place.models.first_token, place.models.tokens_per_second = 0.05, 150
        yield place


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("kind", CHATS)
async def test_a_kill_at_any_step_loses_and_doubles_nothing(tmp_path: Path, kind: str, point: Point) -> None:
    now = tmp_path / "now"
    async with town_for(kind, tmp_path) as place, CHATS[kind](place) as chat:
        await place.parley.start(PARLEY_FAULT=point, PARLEY_FAULT_WHEN=str(now))
        await ask(chat, "warm")
        asked_before = len(place.models.requests)

        now.touch()
        chat.say("question")
        assert await place.parley.ended() == -signal.SIGKILL
        await place.parley.start()
        await answered(chat, "question")
        await ask(chat, "after")
        await asyncio.sleep(SETTLE_SECONDS)

        shown = chat.shown
        assert [is_whole(t, q) for t, q in zip(shown, ("warm", "question", "after"), strict=True)] == [True] * 3, shown
        assert len(place.models.requests) - asked_before <= 3
        assert place.discord.violations == []
        assert [call for call in place.discord.calls if call.status == 400] == [], "each message in the form it has"
        if isinstance(chat, WebPage):
            assert [(m.text, m.state) for m in chat.asked] == [(q, "sent") for q in ("warm", "question", "after")]
            assert await chat.read_anew() == shown


@pytest.mark.parametrize("point", ["received", "posted"])
async def test_a_first_message_that_was_cut_off_is_sent_again_from_a_reloaded_page(tmp_path: Path, point: str) -> None:
    now = tmp_path / "now"
    now.touch()
    async with town_for("web", tmp_path) as place, web_page(place.parley, reloads=True) as page:
        await place.parley.start(PARLEY_FAULT=point, PARLEY_FAULT_WHEN=str(now))
        page.say("question")
        assert await place.parley.ended() == -signal.SIGKILL
        await place.parley.start()
        await answered(page, "question")
        await asyncio.sleep(SETTLE_SECONDS)
        assert [is_whole(text, "question") for text in page.shown] == [True]
        assert [(m.text, m.state) for m in page.asked] == [("question", "sent")]
        assert len(place.models.requests) <= 1
