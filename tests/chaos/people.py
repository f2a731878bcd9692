"""The people of a chaos run: they write on Telegram and Discord, and know what they asked."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tests.chaos.checks import Order, Question, Shown
from tests.chaos.journal import Entry
from tests.chaos.plan import Room
from tests.chaos.speech import ended
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.discord_world import LOADING, Interaction, Posted
from tests.platforms.telegram_server import TOKEN, USERNAME, TelegramServer


@dataclass(slots=True)
class Asked:
    """A question in all its forms."""

    id: str
    tags: list[str]
    words: list[int]
    at: list[float]
    """When each form was written, by the driver's clock."""
    is_sure: bool = True

    def question(self, room: str, stops: Sequence[float]) -> Question:
        return Question(
            room,
            self.id,
            self.words[-1],
            tuple(self.tags),
            self.is_sure,
            any(stop >= self.at[0] for stop in stops),
            self.words[-2] if len(self.words) > 1 else 0,
        )


@dataclass(slots=True)
class Ordered:
    """A picture that was asked for."""

    tag: str
    at: float
    id: str = ""
    """Of the message that asks, where it is one."""

    def order(self, room: str, stops: Sequence[float]) -> Order:
        return Order(room, self.id, self.tag, may_stop=any(stop >= self.at for stop in stops))


@dataclass(slots=True)
class Records:
    """What was written in one room."""

    asked: list[Asked] = field(default_factory=list[Asked])
    commands: Counter[str] = field(default_factory=Counter[str])
    """Those whose answers everybody can see."""
    stops: list[float] = field(default_factory=list[float])
    ordered: list[Ordered] = field(default_factory=list[Ordered])

    def back(self, count: int) -> Asked | None:
        """The question that was so many ago."""
        return self.asked[-count] if 0 < count <= len(self.asked) else None


class Chat(Protocol):
    """One room on its platform."""

    name: str
    key: str
    """Its conversation, as the log names it."""
    records: Records

    async def ask(self, tag: str, words: int, text: str, reply_to: Asked | None = None) -> None: ...

    async def edit(self, asked: Asked, tag: str, words: int, text: str) -> None: ...

    async def command(self, name: str, argument: str) -> None: ...

    async def order(self, tag: str) -> None: ...

    async def redeliver(self, asked: Asked) -> None: ...

    def orders(self) -> list[Order]:
        """The pictures that were asked for, with what stands aside of the room about each."""
        ...

    def shown(self) -> list[Shown]:
        """The bot's messages that everybody sees, oldest first."""
        ...

    def answered_at(self, tag: str) -> float:
        """When the end of the answer to this tag was last shown; 0 while it is not."""
        ...

    def trace(self, since: float, until: float) -> list[Entry]:
        """What the bot did here in that time, as the platform saw it."""
        ...

    def made_at(self, message: str) -> float:
        """When a message came to be; 0 when there is none."""
        ...


class TelegramRoom:
    """A private chat or a group."""

    def __init__(self, server: TelegramServer, room: Room) -> None:
        self.name = room.name
        self.records = Records()
        self._server = server
        self._world = server.world
        self._private = room.private
        self._chat = 1000 + room.number if room.private else (-700, -100_500, -100_501)[room.number]
        self._updates: dict[str, tuple[int, dict[str, Any]]] = {}
        if not room.private:
            self._world.group(self._chat)
        self.key = f"telegram:{TOKEN.partition(':')[0]}:{self._chat}:"

    async def ask(self, tag: str, words: int, text: str, reply_to: Asked | None = None) -> None:
        said = self._world.text(
            self._chat, self._addressed(text), user=self._user, reply_to=self._answer_to(reply_to) if reply_to else 0
        )
        number = next(reversed(self._world.pending))
        self._updates[str(said)] = number, copy.deepcopy(self._world.pending[number])
        self.records.asked.append(Asked(str(said), [tag], [words], [time.time()]))

    async def edit(self, asked: Asked, tag: str, words: int, text: str) -> None:
        self._world.edit(self._chat, int(asked.id), self._addressed(text))
        asked.tags.append(tag)
        asked.words.append(words)
        asked.at.append(time.time())

    async def command(self, name: str, argument: str) -> None:
        call = f"/{name}" if self._private else f"/{name}@{USERNAME}"
        self._world.text(self._chat, f"{call} {argument}".strip(), user=self._user)
        self.records.commands[name] += 1
        if name == "stop":
            self.records.stops.append(time.time())

    async def order(self, tag: str) -> None:
        call = "/imagine" if self._private else f"/imagine@{USERNAME}"
        said = self._world.text(self._chat, f"{call} {tag}", user=self._user)
        self.records.ordered.append(Ordered(tag, time.time(), str(said)))

    def orders(self) -> list[Order]:
        return [made.order(self.name, self.records.stops) for made in self.records.ordered]

    async def redeliver(self, asked: Asked) -> None:
        """As if the confirmation had been lost: whoever polls from the beginning gets it again."""
        number, update = self._updates[asked.id]
        pending = {**self._world.pending, number: update}
        self._world.pending.clear()
        self._world.pending.update(sorted(pending.items()))
        self._world.arrived.set()

    def shown(self) -> list[Shown]:
        return [
            Shown(self.name, str(post.id), post.text, str(post.reply_to or ""))
            for post in self._world.shown(self._chat)
        ]

    def answered_at(self, tag: str) -> float:
        times = [post.history[-1][0] for post in self._world.shown(self._chat) if ended(post.text, tag)]
        return max(times, default=0.0)

    def trace(self, since: float, until: float) -> list[Entry]:
        found: list[Entry] = []
        for call in self._server.calls:
            # Looking for a lost message takes many calls that are all refused.
            mine = call.fields.get("chat_id") == self._chat and call.method != "editMessageCaption"
            if mine and since <= call.time <= until:
                about = {name: call.fields[name] for name in ("message_id", "draft_id") if name in call.fields}
                text = short(str(call.fields.get("text", "")))
                found.append(Entry(call.time, "→ telegram", f"{call.method} {about or ''} {text} = {call.status}"))
        for post in self._world.chat(self._chat).posts.values():
            who = "bot" if post.by_bot else "person"
            for number, (at, text) in enumerate(post.history):
                if since <= at <= until:
                    what = "wrote" if number == 0 else "edited"
                    found.append(Entry(at, f"{self.name}", f"{who} {what} {post.id}: {short(text)}"))
        return found

    def made_at(self, message: str) -> float:
        posts = self._world.chat(self._chat).posts
        return posts[int(message)].history[0][0] if int(message) in posts else 0.0

    @property
    def _user(self) -> int:
        return 0 if self._private else 5

    def _addressed(self, text: str) -> str:
        return text if self._private else f"@{USERNAME} {text}"

    def _answer_to(self, asked: Asked) -> int:
        """The answer, where it stands there already; else the question."""
        found = (post.id for post in self._world.shown(self._chat) if f"{asked.tags[-1]}=0" in post.text)
        return next(found, int(asked.id))


class DiscordRoom:
    """A channel of the guild, or direct messages with one person."""

    def __init__(self, discord: FakeDiscord, room: Room) -> None:
        self.name = room.name
        self.records = Records()
        self.interactions: list[Interaction] = []
        self._ordered: dict[str, Interaction] = {}
        self._discord = discord
        self._private = room.private
        world = discord.world
        self._user = world.add_user(f"person-{room.number}") if room.private else world.alice
        self.channel = (
            world.direct(self._user) if room.private else world.add_channel(world.guild["id"], f"room-{room.number}")
        )
        self.key = f"discord:{world.bot}:{self.channel}:"

    async def ask(self, tag: str, words: int, text: str, reply_to: Asked | None = None) -> None:
        said = self._discord.say(
            text,
            self.channel,
            user=self._user,
            mention=not self._private,
            reply_to=self._answer_to(reply_to) if reply_to else "",
        )
        self.records.asked.append(Asked(said.id, [tag], [words], [time.time()]))

    async def edit(self, asked: Asked, tag: str, words: int, text: str) -> None:
        self._discord.edit(asked.id, text if self._private else f"<@{self._discord.world.bot}> {text}")
        asked.tags.append(tag)
        asked.words.append(words)
        asked.at.append(time.time())

    async def command(self, name: str, argument: str) -> None:
        options = {"text": argument} if argument else None
        self.interactions.append(self._discord.slash(name, options, self.channel, user=self._user))
        if name == "stop":
            self.records.stops.append(time.time())

    async def order(self, tag: str) -> None:
        self.interactions.append(self._discord.slash("imagine", {"prompt": tag}, self.channel, user=self._user))
        self.records.ordered.append(Ordered(tag, time.time()))
        self._ordered[tag] = self.interactions[-1]

    def orders(self) -> list[Order]:
        found: list[Order] = []
        for made in self.records.ordered:
            asked = self._ordered[made.tag]
            posted = [self._discord.world.find(id) for id in (asked.original, *asked.followups) if id]
            aside = tuple(Shown(self.name, one.id, one.text) for one in posted)
            order = made.order(self.name, self.records.stops)
            # Who was not heard is told so by Discord itself.
            found.append(replace(order, aside=aside, is_apart=True, is_sure=bool(asked.answered)))
        return found

    async def redeliver(self, asked: Asked) -> None:
        posted = self._discord.world.find(asked.id)
        data, world = posted.data, self._discord.world
        if posted.guild:
            member = world.member(data["author"]["id"], posted.guild)
            data = {**data, "guild_id": posted.guild, "member": member}
        self._discord.gateway.dispatch("MESSAGE_CREATE", data, posted.guild)

    def shown(self) -> list[Shown]:
        return [Shown(self.name, posted.id, posted.text, posted.replies_to) for posted in self._by_bot()]

    def answered_at(self, tag: str) -> float:
        return max((posted.history[-1][0] for posted in self._by_bot() if ended(posted.text, tag)), default=0.0)

    def trace(self, since: float, until: float) -> list[Entry]:
        found: list[Entry] = []
        for call in self._discord.calls:
            if since <= call.at <= until and self.channel in call.path:
                text = short(str(call.body.get("content", "")))
                found.append(Entry(call.at, "→ discord", f"{call.method} {call.path} {text} = {call.status}"))
        for posted in self._discord.world.messages[self.channel].values():
            who = "bot" if posted.data["author"]["id"] == self._discord.world.bot else "person"
            for number, (at, text) in enumerate(posted.history):
                if since <= at <= until:
                    what = "wrote" if number == 0 else "edited"
                    found.append(Entry(at, self.name, f"{who} {what} {posted.id}: {short(text)}"))
        gateway = self._discord.gateway.log
        return found + [Entry(at, "gateway", what) for at, what in gateway if since <= at <= until]

    def made_at(self, message: str) -> float:
        posted = self._discord.world.messages[self.channel].get(message)
        return posted.created if posted else 0.0

    def unfilled(self) -> list[Interaction]:
        """Commands that the bot took and never answered."""
        world = self._discord.world
        taken = [made for made in self.interactions if made.answered]
        return [made for made in taken if world.find(made.original).data["flags"] & LOADING]

    @property
    def untaken(self) -> int:
        """Commands that the bot did not take in time: Discord says so to the person."""
        return sum(1 for made in self.interactions if not made.answered)

    def _by_bot(self) -> list[Posted]:
        """By way of interactions come the answers to commands, which the asker alone sees."""
        aside = {id for made in self.interactions for id in (made.original, *made.followups)}
        return [posted for posted in self._discord.by_bot(self.channel) if posted.id not in aside]

    def _answer_to(self, asked: Asked) -> str:
        found = (posted.id for posted in self._by_bot() if f"{asked.tags[-1]}=0" in posted.text)
        return next(found, asked.id)


def short(text: str) -> str:
    """Beginning and end, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:60]} … {line[-50:]}"
