"""The floor: a loop with the SDK calls of an answer and nothing else. No store, no order, no limits, no paging.

``python -m benchmarks.bare telegram`` or ``discord``; reads the same environment variables as Parley.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from openai import AsyncOpenAI

PAUSES = (0.5, 1.0)
"""Seconds from the first show to the second, and between later ones, as Parley does it."""


async def stream(client: AsyncOpenAI, question: str, show: Callable[[str], Awaitable[Any]]) -> str:
    """The whole answer, shown as it grows."""
    pieces: list[str] = []
    ended = asyncio.Event()
    shown = asyncio.create_task(_follow(pieces, ended, show))
    chunks = await client.chat.completions.create(
        model=os.environ["OPENAI_MODEL"], messages=[{"role": "user", "content": question}], stream=True
    )
    async for chunk in chunks:
        text = chunk.choices[0].delta.content if chunk.choices else ""
        pieces.append(text or "")
    ended.set()
    await shown
    return "".join(pieces)


async def _follow(pieces: list[str], ended: asyncio.Event, show: Callable[[str], Awaitable[Any]]) -> None:
    while not "".join(pieces) and not ended.is_set():
        await asyncio.sleep(0.01)
    pause = PAUSES[0]
    while not ended.is_set():
        began = time.monotonic()
        await show("".join(pieces))
        try:
            await asyncio.wait_for(ended.wait(), max(0.0, pause - (time.monotonic() - began)))
        except TimeoutError:
            pause = PAUSES[1]


async def on_telegram() -> None:
    """python-telegram-bot's own methods: getUpdates, drafts, one message."""
    from telegram import Bot, Message
    from telegram.request import HTTPXRequest

    root = os.environ["TELEGRAM_API_BASE"]
    bot = Bot(
        os.environ["TELEGRAM_TOKEN"],
        base_url=f"{root}/bot",
        base_file_url=f"{root}/file/bot",
        request=HTTPXRequest(connection_pool_size=512, pool_timeout=60),
        get_updates_request=HTTPXRequest(),
    )
    client = AsyncOpenAI(max_retries=0)
    tasks: set[asyncio.Task[None]] = set()

    async def answer(message: Message) -> None:
        chat, number = message.chat_id, message.message_id

        async def show(text: str) -> None:
            await bot.send_message_draft(chat, number, text)

        text = await stream(client, message.text or "", show)
        await bot.send_message(chat, text, reply_to_message_id=number)

    async with bot, client:
        print("ready", flush=True)
        offset = 0
        while True:
            for update in await bot.get_updates(offset, timeout=30):
                offset = update.update_id + 1
                if update.message is not None:
                    task = asyncio.create_task(answer(update.message))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)


async def on_discord() -> None:
    """discord.py's own methods: a message, and edits of it."""
    import discord
    import yarl
    from discord import gateway, http

    http.Route.BASE = os.environ["DISCORD_API_BASE"]
    gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(os.environ["DISCORD_GATEWAY"])
    client = AsyncOpenAI(max_retries=0)
    bot = discord.Client(intents=discord.Intents(guilds=True, messages=True, message_content=True))

    async def on_message(message: discord.Message) -> None:
        if message.author.bot:
            return
        sent: list[discord.Message] = []

        async def show(text: str) -> None:
            if sent:
                await sent[0].edit(content=text)
            else:
                sent.append(await message.reply(text, mention_author=False))

        await show(await stream(client, message.content, show))

    async def on_ready() -> None:
        print("ready", flush=True)

    bot.event(on_message)
    bot.event(on_ready)
    await bot.start(os.environ["DISCORD_TOKEN"])


def main() -> None:
    loops = {"telegram": on_telegram, "discord": on_discord}
    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(loops[sys.argv[1]]())
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(loops[sys.argv[1]]())


if __name__ == "__main__":
    main()
