"""Scale, at rest: what a conversation that nobody writes in keeps in the processes and in Redis."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from benchmarks.figures import Row
from benchmarks.fleet import Fleet
from benchmarks.people import Crowd, DiscordPlace, TelegramPlace
from benchmarks.processes import stub
from benchmarks.seed import answered, converse
from benchmarks.turn import PATIENCE_SECONDS, SETTLE_SECONDS, valkey
from core.conversation.history import History
from core.conversation.mailbox import Admission, Mailbox
from core.message import ConversationKey, Platform
from core.storage.client import Store
from core.storage.keys import ConversationKeys
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.telegram_server import TelegramServer

BATCH = 5_000
"""Chats that write before the others do: fewer than may wait in all."""
TAKERS = 16
SAMPLE = 100
AT_ONCE = 60
MOST_BYTES = 2_000
ANSWER = " It comes after the one before it and goes before the one that follows." * 5
"""About a hundred tokens."""
FEW_ROOMS = 100


@dataclass(frozen=True, slots=True)
class IdleSize:
    """How much is measured."""

    conversations: int = 100_000
    """Pass through a receiver."""
    answered: int = 12_000
    """Are answered by ``parley up``."""
    rooms: int = 5_000
    """Channels on Discord."""
    overheard: int = 5_000
    """Messages on Discord that are not for the bot."""
    turns: int = 1_000
    """Of one long conversation."""

    @property
    def warm(self) -> int:
        """Conversations before the count begins: what is kept for the newest ones is full by then."""
        return self.conversations // 10

    @property
    def warm_answered(self) -> int:
        return self.answered // 3


async def used_memory(url: str) -> int:
    """Bytes that the server has taken for its data and all around it."""
    redis: Any = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
    try:
        return int((await redis.info("memory"))["used_memory"])
    finally:
        await redis.aclose()


async def receiver(size: IdleSize, work: Path) -> list[Row]:
    """Messages of ever new chats through ``parley receive``; the turns are closed from here, without a model."""
    async with valkey(work / "v") as server, TelegramServer() as fake:
        place = TelegramPlace(fake)
        async with Fleet({**place.env(), "REDIS_URL": server.url}, work) as fleet:
            process = await fleet.start("receive", "receive", "telegram")
            await pass_through(place, server.url, size.warm)
            memory, kept = process.memory(), await used_memory(server.url)
            chats = await pass_through(place, server.url, size.conversations - size.warm)
            grown, held = process.memory() - memory, await used_memory(server.url) - kept
            parts = await kept_for(server.url, chats[:: max(1, len(chats) // SAMPLE)])
            parts["the rest, that the message was seen (2 days)"] = held / len(chats) - sum(parts.values())
            total = process.memory()
    async with valkey(work / "long") as server:
        await converse(server.url, ConversationKey(Platform.TELEGRAM, "1", "1"), 100)
        before = await used_memory(server.url)
        await converse(server.url, ConversationKey(Platform.TELEGRAM, "1", "2"), size.turns)
        turn = (await used_memory(server.url) - before) / size.turns
    name = f"{size.conversations:,} idle conversations"
    return [
        Row(f"{name}: memory of the receiver for each", max(0.0, grown * 1e6 / len(chats)), "B", MOST_BYTES),
        Row(f"{name}: memory of the receiver in all", total, "MB"),
        Row(f"{name}: Redis for each, with one question and answer", held / len(chats), "B"),
        *(Row(f"{name}: of that {what}", value, "B") for what, value in parts.items()),
        Row("a further question and answer of a conversation: Redis", turn, "B"),
    ]


async def pass_through(place: TelegramPlace, url: str, count: int) -> list[ConversationKey]:
    """So many new chats write one message each, which is answered as soon as it is in its mailbox."""
    store = Store(url)
    mailbox = Mailbox(store, "benchmark", Admission(), keep_days=30)
    history = History(store, keep_days=30, max_messages=1_000)
    bot = str(place.server.me["id"])
    done: list[ConversationKey] = []
    try:
        while len(done) < count:
            chats = place.chats(min(BATCH, count - len(done)))
            for chat in chats:
                place.say(chat, f"What is to be said of the number {chat}, and why?")
            batch = [ConversationKey(Platform.TELEGRAM, bot, chat) for chat in chats]
            waiting = iter(batch)

            async def take(waiting: Any = waiting) -> None:
                for conversation in waiting:
                    while (turn := await mailbox.take(conversation)) is None:
                        await asyncio.sleep(0.02)
                    await answered(mailbox, history, turn, ANSWER)

            await asyncio.gather(*(take() for _ in range(TAKERS)))
            done += batch
            place.server.world.chats.clear()
    finally:
        await store.close()
    return done


async def kept_for(url: str, sample: Sequence[ConversationKey]) -> dict[str, float]:
    """Bytes of a conversation's keys, on average."""
    redis: Any = Redis.from_url(url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType]
    sizes: dict[str, list[int]] = {"state": [], "tree": [], "order": []}
    try:
        for conversation in sample:
            keys = ConversationKeys.of(conversation)
            for what, key in (("state", keys.state), ("tree", keys.tree), ("order", keys.order)):
                sizes[what].append(await redis.memory_usage(key) or 0)
    finally:
        await redis.aclose()
    return {what: statistics.mean(values) for what, values in sizes.items()}


async def answering(size: IdleSize, work: Path) -> list[Row]:
    """Real answers to ever new chats by ``parley up``, which receives and works."""
    async with (
        stub(work, per_second=4_000.0, first=0.0) as model,
        valkey(work / "v") as server,
        TelegramServer() as fake,
        Fleet({**model, "REDIS_URL": server.url}, work) as fleet,
    ):
        place = TelegramPlace(fake)
        process = await fleet.start("up", "up", env=place.env())
        lost = await ask_each(place, size.warm_answered)
        memory = process.memory()
        lost += await ask_each(place, size.answered - size.warm_answered)
        await asyncio.sleep(SETTLE_SECONDS)
        grown = process.memory() - memory
    count = size.answered - size.warm_answered
    return [
        Row(f"{size.answered:,} answered conversations: memory of parley up for each", grown * 1e6 / count, "B", 2000),
        Row(f"{size.answered:,} answered conversations: not answered", lost, "", 0),
    ]


async def ask_each(place: TelegramPlace, count: int) -> int:
    """A question in each of so many new chats; how many were not answered."""
    chats, lost = iter(place.chats(count)), 0

    async def ask() -> None:
        nonlocal lost
        crowd = Crowd(place)
        for chat in chats:
            lost += (await crowd.see(crowd.ask(chat), PATIENCE_SECONDS)).done is None

    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return lost


async def rooms(size: IdleSize, work: Path) -> list[Row]:
    """A channel on Discord is a conversation, and the platform's library keeps what it is told of each."""
    memory: dict[int, float] = {}
    spent = 0.0
    for count in (FEW_ROOMS, size.rooms):
        async with valkey(work / f"v{count}") as server, FakeDiscord() as fake:
            place = DiscordPlace(fake)
            place.build(count)
            async with Fleet({**place.env(), "REDIS_URL": server.url}, work / f"p{count}") as fleet:
                process = await fleet.start("receive", "receive", "discord")
                await asyncio.sleep(SETTLE_SECONDS)
                memory[count] = process.memory()
                spent = await overhear(place, fleet, size.overheard)
    each = (memory[size.rooms] - memory[FEW_ROOMS]) * 1e6 / (size.rooms - FEW_ROOMS)
    return [
        Row(f"{size.rooms:,} channels on Discord: memory of the receiver for each", each, "B", MOST_BYTES),
        Row("receiver of Discord: memory", memory[FEW_ROOMS], "MB"),
        Row("a message on Discord that is not for the bot: processor time of the receiver", spent * 1000, "ms"),
    ]


async def overhear(place: DiscordPlace, fleet: Fleet, count: int) -> float:
    """Processor seconds for a message that people write among themselves."""
    channel, before = place.chats(1)[0], fleet.cpu()
    for number in range(count):
        place.server.say(f"Number {number} of what people tell each other.", channel)
        if number % 20 == 19:
            await asyncio.sleep(0.02)
    await asyncio.sleep(SETTLE_SECONDS)
    return (fleet.cpu() - before) / count


async def idle(size: IdleSize, work: Path) -> list[Row]:
    """All of it."""
    return [
        *await receiver(size, work / "receiver"),
        *await answering(size, work / "answering"),
        *await rooms(size, work / "rooms"),
    ]
