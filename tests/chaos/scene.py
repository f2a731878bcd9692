"""Everything that is there during a run, and what people do in it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from core.message import Platform
from core.storage import keys
from tests.chaos import leftovers, speech
from tests.chaos.checks import Order, Question, Violation
from tests.chaos.fleet import Member
from tests.chaos.journal import TROUBLE, Journal
from tests.chaos.people import Chat, DiscordRoom
from tests.chaos.plan import Act, Kind, Say
from tests.chaos.store import StoreServer
from tests.chaos.troubles import Troubles
from tests.chaos.web_room import WebRoom
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TelegramServer

ROUND_SECONDS = 60.0
"""How long one question in every room may take, with nothing going wrong."""
QUIET_SECONDS = 150.0
"""How long it may take until all work is done, after the faults have ended."""
STILL_SECONDS = 6.0
"""Quiet is when nothing waits for so long: a new gateway session takes five seconds."""
SURE_SECONDS = (20.0, 25.0)
"""Before and after an edit on Discord: with no trouble in this time it arrived. Discord sends nothing twice."""


@dataclass(frozen=True, slots=True)
class Options:
    seed: int
    seconds: float
    layout: str = "split"
    kinds: frozenset[Kind] = frozenset(Kind)
    platforms: frozenset[Platform] = frozenset(Platform)
    storm: float = 1.0
    talks: bool = False
    journal: Path | None = None
    """A file for everything that happens."""


@dataclass
class Scene:
    """Everything that is there during a run."""

    options: Options
    folder: Path
    journal: Journal
    store: StoreServer
    telegram: TelegramServer
    discord: FakeDiscord
    models: list[OpenAIServer]
    members: list[Member]
    troubles: Troubles
    chats: list[Chat | None]
    """By the numbers of the rooms; None where a platform is left out."""
    home: dict[str, str] = field(default_factory=dict[str, str])
    """Tag -> the room where it was asked."""
    leaks: list[Violation] = field(default_factory=list[Violation])
    rounds: int = 0

    @property
    def web(self) -> list[WebRoom]:
        return [chat for chat in self.chats if isinstance(chat, WebRoom)]

    # ---- talking

    async def say(self, say: Say) -> None:
        """Does what a person does."""
        chat = self.chats[say.room]
        if chat is None:
            return
        earlier = chat.records.back(say.back)
        if say.act is Act.COMMAND:
            name, _, argument = say.command.partition(" ")
            await chat.command(name, argument)
            self.journal.note(chat.name, f"/{say.command}")
        elif say.act is Act.ORDER:
            await chat.order(say.order)
            self.journal.note(chat.name, f"orders {say.order}")
        elif say.act is Act.REDELIVER and earlier is not None:
            await chat.redeliver(earlier)
        else:
            self.home[say.tag] = chat.name
            text = speech.question(say.tag, say.words, code=say.code)
            if say.act is Act.EDIT and earlier is not None:
                await chat.edit(earlier, say.tag, say.words, text)
            else:
                await chat.ask(say.tag, say.words, text, earlier if say.act is Act.REPLY else None)

    async def round(self) -> list[tuple[str, str]]:
        """One question in every room, and the time to answer it; room and tag of those that were not."""
        self.rounds += 1
        tags: list[tuple[Chat, str]] = []
        for number, chat in enumerate(self.chats):
            if chat is not None:
                say = Say(0.0, number, Act.ASK, (self.rounds - 1) * 1_000_000 + number, 5)
                await self.say(say)
                tags.append((chat, say.tag))
        deadline = time.monotonic() + ROUND_SECONDS
        while time.monotonic() < deadline:
            if all(chat.answered_at(tag) for chat, tag in tags):
                return []
            await asyncio.sleep(0.1)
        late = [(chat.name, tag) for chat, tag in tags if not chat.answered_at(tag)]
        self.journal.note("driver", f"round {self.rounds} was not over in time: {late}")
        return late

    def reply(self, body: dict[str, Any]) -> str:
        """The stub's answer; what it was shown is looked at here."""
        tag, held = speech.asked_in(body), speech.tags_in(body)
        self.journal.note(f"model {body['model']}", f"asked about {tag}")
        rooms = {self.home.get(found, "nobody") for found in held}
        if len(rooms) > 1:
            found = f"a prompt about {tag} held words of {sorted(rooms)}"
            self.leaks.append(Violation("leaked", self.home.get(tag, ""), tag, found))
        return speech.reply(body)

    # ---- waiting

    async def ready(self) -> None:
        for member in self.members:
            try:
                await member.ready()
            except TimeoutError:
                self.journal.note("driver", f"{member.name} is not ready")

    async def quiet(self) -> bool:
        """Whether all work came to an end in time."""
        redis: Any = Redis(port=self.store.port, socket_timeout=5, decode_responses=True)
        deadline = time.monotonic() + QUIET_SECONDS
        still = time.monotonic()
        try:
            while time.monotonic() < deadline:
                pipe = redis.pipeline(transaction=False)
                for partition in range(keys.PARTITIONS):
                    pipe.zcard(keys.ready(partition))
                untaken = self.telegram.world.pending or any(room.waiting for room in self.web)
                work = sum(await pipe.execute()) or await leftovers.jobs_left(redis)
                if work or untaken or not self._is_connected():
                    still = time.monotonic()
                if time.monotonic() - still > STILL_SECONDS:
                    return True
                await asyncio.sleep(0.2)
            return False
        finally:
            await redis.aclose()

    def _is_connected(self) -> bool:
        wanted = Platform.DISCORD in self.options.platforms
        return not wanted or any(session.connection for session in self.discord.gateway.sessions.values())

    # ---- judging

    def orders(self) -> list[Order]:
        """All that was ordered."""
        return [order for chat in self.chats if chat is not None for order in chat.orders()]

    def questions(self) -> tuple[list[Question], dict[str, Counter[str]]]:
        """What was accepted: everything, for the platforms keep it until it is taken; edits on Discord apart."""
        harm = [entry.at for entry in self.journal.by(TROUBLE)]
        questions: list[Question] = []
        commands: dict[str, Counter[str]] = {}
        for chat in self.chats:
            if chat is None:
                continue
            for asked in chat.records.asked:
                if isinstance(chat, DiscordRoom) and len(asked.at) > 1:
                    before, after = SURE_SECONDS
                    asked.is_sure = not any(asked.at[-1] - before < at < asked.at[-1] + after for at in harm)
                questions.append(asked.question(chat.name, chat.records.stops))
            commands[chat.name] = chat.records.commands
        return questions, commands
