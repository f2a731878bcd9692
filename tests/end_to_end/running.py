"""`parley up` as a process of its own, against fakes of every server around it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.platforms.discord_components import walk
from tests.platforms.discord_server import TOKEN as DISCORD_TOKEN
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TOKEN as TELEGRAM_TOKEN
from tests.platforms.telegram_server import TelegramServer

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds after which a test gives up; what it waits for takes a tenth of it on a busy machine."""


async def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.02)


@dataclass
class Parley:
    """The program under test. It keeps its data folder over restarts."""

    folder: Path
    environment: dict[str, str]
    command: tuple[str, ...] = ("up",)
    process: asyncio.subprocess.Process | None = None
    lines: list[str] = field(default_factory=list[str])
    reading: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    async def start(self, **more: str) -> None:
        """Returns once it says that it is ready, or has ended."""
        before = len(self.lines)
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bots",
            *self.command,
            cwd=self.folder,
            env={**_clean(), **self.environment, **more, "PYTHONPATH": str(ROOT), "PARLEY_LOG": "json"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.DEVNULL,
        )
        assert self.process.stdout
        assert self.process.stderr
        self.reading = [
            asyncio.create_task(self._read(stream)) for stream in (self.process.stdout, self.process.stderr)
        ]
        process = self.process
        await until(lambda: process.returncode is not None or any('"ready"' in x for x in self.lines[before:]), "ready")

    async def ended(self) -> int:
        """Waits for its end; the exit status."""
        assert self.process
        status = await asyncio.wait_for(self.process.wait(), PATIENCE)
        await asyncio.gather(*self.reading)
        return status

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process
        if self.process.returncode is None:
            self.process.send_signal(how)
        return await self.ended()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log so far."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    async def _read(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.lines.append(line.decode())


def _clean() -> dict[str, str]:
    """Our environment without anything that would configure Parley."""
    return {
        k: v for k, v in os.environ.items() if not k.startswith(("PARLEY", "OPENAI", "DISCORD", "TELEGRAM", "REDIS"))
    }


@dataclass
class Town:
    """Parley with everything around it."""

    parley: Parley
    telegram: TelegramServer
    discord: FakeDiscord
    models: OpenAIServer


def variables(folder: Path, telegram: TelegramServer, discord: FakeDiscord, models: OpenAIServer) -> dict[str, str]:
    """What points a Parley with its data in ``folder`` at the fakes."""
    return {
        "TELEGRAM_TOKEN": TELEGRAM_TOKEN,
        "TELEGRAM_API_BASE": telegram.url,
        "DISCORD_TOKEN": DISCORD_TOKEN,
        "DISCORD_API_BASE": discord.api_base,
        "DISCORD_GATEWAY": discord.gateway_url,
        "DISCORD_CDN": discord.cdn,
        "PARLEY__DISCORD__IDENTIFY_SECONDS": "0.05",
        "OPENAI_BASE_URL": models.url,
        "OPENAI_API_KEY": "x",
        "OPENAI_MODEL": "stub",
        "PARLEY_DATA": str(folder / "data"),
        "PARLEY_WEB_PORT": "0",
        "PARLEY_LOCAL_MODEL": "none",
        "PARLEY__ENGINES__ON": "false",
    }


@asynccontextmanager
async def town(folder: Path, **environment: str) -> AsyncGenerator[Town]:
    """The fakes, and a Parley that is not started yet. It is ended at the end, whatever happened.

    ``environment`` changes its variables; an empty one is left out.
    """
    async with TelegramServer() as telegram, FakeDiscord() as discord, OpenAIServer() as models:
        parley = Parley(folder, {**variables(folder, telegram, discord, models), **environment})
        try:
            yield Town(parley, telegram, discord, models)
        finally:
            if parley.process is not None:
                await parley.stop()


class Platforms(Protocol):
    """Where chats take place."""

    telegram: TelegramServer
    discord: FakeDiscord


class TelegramChat:
    """A person talking with the bot on Telegram, in private or in a group."""

    max_text = 32_768

    def __init__(self, place: Platforms, chat: int) -> None:
        self.world = place.telegram.world
        self.chat = chat
        if chat < 0:
            self.world.group(chat)

    def say(self, text: str) -> str:
        """The message's id."""
        if self.chat < 0:
            return str(self.world.text(self.chat, f"@parley_bot {text}", user=5))
        return str(self.world.text(self.chat, text))

    def edit(self, message: str, text: str) -> None:
        self.world.edit(self.chat, int(message), f"@parley_bot {text}" if self.chat < 0 else text)

    def reply(self, message: str, text: str) -> str:
        return str(self.world.text(self.chat, text, reply_to=int(message), user=5 if self.chat < 0 else 0))

    def press(self, message: str, command: str) -> None:
        self.world.press(self.chat, int(message), command)

    def buttons(self) -> list[str]:
        rows = [post.markup["inline_keyboard"] for post in self.world.shown(self.chat) if post.markup]
        return [button["callback_data"] for row in rows for line in row for button in line]

    @property
    def ids(self) -> list[str]:
        return [str(post.id) for post in self.world.shown(self.chat)]

    @property
    def shown(self) -> list[str]:
        return self.world.texts(self.chat)


class DiscordChat:
    """A person talking with the bot in a Discord channel."""

    max_text = 2000

    def __init__(self, place: Platforms) -> None:
        self.discord = place.discord
        world = place.discord.world
        self.channel = world.add_channel(world.guild["id"], "end-to-end")

    def say(self, text: str) -> str:
        """The message's id."""
        return self.discord.say(text, self.channel, mention=True).id

    def edit(self, message: str, text: str) -> None:
        self.discord.edit(message, f"<@{self.discord.world.bot}> {text}")

    def reply(self, message: str, text: str) -> str:
        return self.discord.say(text, self.channel, mention=True, reply_to=message).id

    def press(self, message: str, command: str) -> None:
        self.discord.press(message, command)

    def buttons(self) -> list[str]:
        shown = [posted.data["components"] for posted in self.discord.by_bot(self.channel)]
        return [part["custom_id"] for components in shown for part in walk(components) if "custom_id" in part]

    @property
    def ids(self) -> list[str]:
        return [posted.id for posted in self.discord.by_bot(self.channel) if not posted.deleted]

    @property
    def shown(self) -> list[str]:
        return [posted.text for posted in self.discord.by_bot(self.channel) if not posted.deleted]


Chat = TelegramChat | DiscordChat
