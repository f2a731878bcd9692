"""People who ask and wait for their answers, on fakes of the platforms. Times are those the fakes wrote down."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.processes import FIRST_TOKEN_SECONDS, STREAM_SECONDS, TOKENS
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.telegram_server import TelegramServer

LOOK_SECONDS = 0.01
RAMP_SECONDS = 1.0
"""Chats of a load begin within this time, evenly: nobody writes in the same millisecond as 199 others."""
THINK_SECONDS = 0.5
"""From an answer to the next question."""
FIRST_CHAT = 10_000
TAG = re.compile(r"\bq\d+q\b")


@dataclass(slots=True)
class Question:
    """One question and what became of it; unix seconds."""

    tag: str
    chat: str
    asked: float
    message: str
    first: float | None = None
    """When any text of the answer was to be seen."""
    done: float | None = None
    """When all of it was."""

    @property
    def took(self) -> float:
        assert self.done is not None  # asked for complete answers only
        return self.done - self.asked

    @property
    def added_first(self) -> float | None:
        """Beyond the model's own time."""
        return None if self.first is None else self.first - self.asked - FIRST_TOKEN_SECONDS

    @property
    def added(self) -> float | None:
        return None if self.done is None else self.took - STREAM_SECONDS


def is_whole(text: str) -> bool:
    """The stub's tokens are words."""
    return len(text.split()) >= TOKENS


Shown = tuple[float, str, bool]
"""When, what, and whether it stays (a preview does not)."""


class Place(Protocol):
    """A platform's fake with its people."""

    name: str

    def env(self) -> dict[str, str]:
        """What leads Parley there."""
        ...

    def chats(self, count: int) -> list[str]:
        """New chats."""
        ...

    def say(self, chat: str, text: str) -> str:
        """Somebody writes; the message's id."""
        ...

    def shown(self, question: Question) -> Iterable[Shown]:
        """What the bot showed in the chat since the question, in any order."""
        ...

    def answers(self) -> list[str]:
        """Every message of the bot, as it is now."""
        ...

    def calls(self) -> int:
        """Platform calls so far that show something or type."""
        ...


@dataclass(slots=True)
class TelegramPlace:
    """Private chats, or groups in which the bot is mentioned."""

    server: TelegramServer
    name: str = "Telegram"
    in_groups: bool = False
    _next: int = FIRST_CHAT

    def env(self) -> dict[str, str]:
        return {"TELEGRAM_TOKEN": self.server.token, "TELEGRAM_API_BASE": self.server.url}

    def chats(self, count: int) -> list[str]:
        self._next += count
        numbers = range(self._next - count, self._next)
        if not self.in_groups:
            return [str(number) for number in numbers]
        groups = [-1_000_000_000_000 - number for number in numbers]
        for group in groups:
            self.server.world.group(group)
        return [str(group) for group in groups]

    def say(self, chat: str, text: str) -> str:
        mention = f"@{self.server.me['username']} " if self.in_groups else ""
        return str(self.server.world.text(int(chat), mention + text))

    def shown(self, question: Question) -> Iterable[Shown]:
        chat = self.server.world.chats[int(question.chat)]
        for draft in reversed(chat.drafts):
            if draft.time < question.asked:
                break
            if draft.text:
                yield draft.time, draft.text, False
        for post in reversed(chat.posts.values()):
            if str(post.id) == question.message:
                break
            for at, text in post.history:
                yield at, text, True

    def answers(self) -> list[str]:
        return [post.text for chat in self.server.world.chats.values() for post in chat.posts.values() if post.by_bot]

    def calls(self) -> int:
        """Those for people, without what a bot says of itself when it starts."""
        return sum(not re.match(r"getUpdates|getMe$|[gs]etMy|setChatMenu", call.method) for call in self.server.calls)


@dataclass(slots=True)
class DiscordPlace:
    server: FakeDiscord
    rooms: list[str] = field(default_factory=list[str])
    name: str = "Discord"
    _used: int = 0

    def env(self) -> dict[str, str]:
        server = self.server
        addresses = {"DISCORD_API_BASE": server.api_base, "DISCORD_GATEWAY": server.gateway_url}
        return {"DISCORD_TOKEN": server.gateway.token, "DISCORD_CDN": server.cdn, **addresses}

    def build(self, count: int) -> None:
        """Channels must be there before the bot connects."""
        guild = self.server.world.guild["id"]
        self.rooms = [self.server.world.add_channel(guild, f"room-{number}") for number in range(count)]

    def chats(self, count: int) -> list[str]:
        self._used += count
        return self.rooms[self._used - count : self._used]

    def say(self, chat: str, text: str) -> str:
        return self.server.say(text, chat, mention=True).id

    def shown(self, question: Question) -> Iterable[Shown]:
        for post in reversed(self.server.world.messages[question.chat].values()):
            if post.id == question.message:
                break
            yield from ((at, text, True) for at, text in post.history)

    def answers(self) -> list[str]:
        return [post.text for post in self.server.by_bot()]

    def calls(self) -> int:
        return sum(call.method in ("POST", "PATCH") and "/channels/" in call.path for call in self.server.calls)


class Crowd:
    """Asks and waits."""

    _numbers = itertools.count(1)
    """Of all crowds: a tag must not come again on the same fake."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def ask(self, chat: str) -> Question:
        tag = f"q{next(self._numbers)}q"
        asked = time.time()
        return Question(tag, chat, asked, self.place.say(chat, f"Question {tag} please."))

    async def see(self, question: Question, patience: float) -> Question:
        """Returns with the whole answer, or when patience is at its end."""
        end = time.time() + patience
        while not self._look(question) and time.time() < end:
            await asyncio.sleep(LOOK_SECONDS)
        return question

    async def converse(self, chat: str, count: int, patience: float, after: float = 0.0) -> list[Question]:
        """One chat's questions, each after the answer to the one before."""
        questions: list[Question] = []
        for _ in range(count):
            await asyncio.sleep(THINK_SECONDS if questions else after)
            questions.append(await self.see(self.ask(chat), patience))
        return questions

    async def at_once(self, chats: int, questions: int, patience: float) -> list[Question]:
        """Many chats side by side."""
        talks = [
            self.converse(chat, questions, patience, number / chats * RAMP_SECONDS)
            for number, chat in enumerate(self.place.chats(chats))
        ]
        return [question for talk in await asyncio.gather(*talks) for question in talk]

    def doubled(self, questions: Sequence[Question]) -> int:
        """Questions with more than one message as their answer."""
        seen: dict[str, int] = {}
        for text in self.place.answers():
            for tag in set(TAG.findall(text)):
                seen[tag] = seen.get(tag, 0) + 1
        return sum(seen.get(question.tag, 0) > 1 for question in questions)

    def _look(self, question: Question) -> bool:
        shown = [entry for entry in self.place.shown(question) if entry[1].strip()]
        if shown and question.first is None:
            question.first = min(at for at, _, _ in shown)
        whole = [at for at, text, stays in shown if stays and is_whole(text)]
        if whole:
            question.done = min(whole)
        return bool(whole)
