"""The message tree of a conversation: the path from a question to the root is the context of its answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.conversation.attached import Attached, as_text
from core.conversation.mailbox import payload
from core.conversation.preferences import FIELDS, OF_CHANNELS, Preferences
from core.conversation.turn import Turn
from core.message import ConversationKey, Message, Quote
from core.people.spaces import kept_days
from core.storage import channels
from core.storage.client import Store, conversation_keys
from core.storage.keys import ConversationKeys

OVERHEAD_TOKENS = 6
"""What a chat template adds to each message."""
PAGE = 500
"""Messages of a whole tree that are read in one round trip."""
MAX_QUOTE = 2000
"""Characters of a quoted message that a model is shown."""


def count_tokens(text: str) -> int:
    """An estimate from above for most tokenizers and languages: four bytes of UTF-8 a token."""
    return len(text.encode()) // 4 + OVERHEAD_TOKENS


class Mode(StrEnum):
    """How a turn finds its question."""

    ASK = "ask"
    AGAIN = "again"
    """The question is in the tree; its answer is made anew."""
    MORE = "more"
    """A question that needs an answer before it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the tree keeps it."""

    text: str
    author: str
    at: int
    """Unix seconds."""
    quote: Quote | None = None
    images: tuple[str, ...] = ()
    """Digests of pictures made ready for models."""
    asker: str = ""
    """The author's account id: who may have the answer made anew or forgotten."""
    album: str = ""
    """Whose pieces are collected elsewhere until it is forgotten."""
    files: tuple[Attached, ...] = ()
    """What else came with it, read as text."""
    readings: tuple[str, ...] = ()
    """Where that is kept for a while, to be removed with it."""

    @property
    def tokens(self) -> int:
        """What it takes of a prompt: the author's name and what is quoted stand there, too."""
        quoted = count_tokens(self.quote.text[:MAX_QUOTE]) if self.quote else 0
        files = count_tokens(as_text(self.files)) if self.files else 0
        return count_tokens(f"{self.author}: {self.text}") + quoted + files

    def to_payload(self) -> str:
        values = {name: getattr(self, name) for name in self.__slots__}
        return payload(values | {"files": [file.to_values() for file in self.files]})

    @classmethod
    def of(
        cls,
        message: Message,
        images: tuple[str, ...] = (),
        files: tuple[Attached, ...] = (),
        readings: tuple[str, ...] = (),
    ) -> Question:
        return cls(
            message.text,
            message.author.name,
            int(message.sent_at),
            message.quote,
            images,
            asker=message.author.id,
            album=message.album,
            files=files,
            readings=readings,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as the tree keeps it."""

    text: str
    pages: tuple[str, ...]
    """Message ids under which it is shown."""
    ending: str
    model: str = ""
    cost: int = 0
    """Millionths of a currency unit."""

    def to_payload(self) -> str:
        return payload({name: getattr(self, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True)
class Node:
    """One message on the path."""

    id: str
    parent: str
    said: Question | Answer


@dataclass(frozen=True, slots=True)
class Path:
    """The context of an answer, oldest first; the question is the last."""

    question: str
    nodes: tuple[Node, ...]
    previous: Answer | None = None
    """The answer that this question had before."""
    cut: str = ""
    """Id of the first message that is left, when older ones were cut; else empty."""
    summary: str = ""
    """Of what was cut, when there is one."""


@dataclass(frozen=True, slots=True)
class Older:
    """What was cut from a path."""

    nodes: tuple[Node, ...]
    earlier: str
    """The summary of what lies before even that, or empty."""
    forgettings: str
    """How often something was forgotten here when this was read."""


class State(StrEnum):
    """What there is of an answer."""

    OPEN = "open"
    """It is being made, or made anew, now."""
    KEPT = "kept"
    UNKNOWN = "unknown"
    """Forgotten, too old, or no answer at all."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the buttons under an answer go by."""

    state: State
    under_way: bool
    """What the button asks for is being done already, or waits."""
    askers: tuple[str, ...]
    """Account ids of those it is made for."""
    answer: Answer | None
    preferences: Preferences


class History:
    """All conversations' trees."""

    def __init__(self, store: Store, *, keep_days: int, max_messages: int) -> None:
        self._store = store
        self._keep_days = keep_days
        self._keep_seconds = keep_days * 86400
        self._max_messages = max_messages

    async def path(
        self,
        turn: Turn,
        mode: Mode,
        question: Question,
        *,
        id: str,
        reply_to: str,
        window: int,
        also: Sequence[str] = (),
        edited: bool = False,
    ) -> Path | None:
        """Puts the question into the tree and reads its context, in one round trip.

        ``also`` are ids of further messages that the question stands for. ``window`` is the budget of the path in
        tokens. None when there is nothing to make anew or to go on with; the turn is interrupted as ``forgotten``
        when the question was deleted, and as ``unchanged`` when it was ``edited`` and says what it said, and has its
        answer. Raises LeaseLost.
        """
        reply: list[Any] = await self._store.run(
            "path",
            conversation_keys(ConversationKeys.of(turn.conversation)),
            (
                turn.fence,
                "edit" if edited and mode is Mode.ASK else mode,
                id,
                reply_to,
                question.tokens,
                self._store.texts.seal_json(question.to_payload(), str(turn.conversation)),
                window,
                kept_days(turn.space, self._keep_days) * 86400,
                self._max_messages,
                turn.number,
                int(bool(turn.space.passive)),
                *also,
            ),
        )
        if reply[0] in ("forgotten", "unchanged"):
            turn.interrupt(reply[0])
        if reply[0] != "path":
            return None
        _, question_id, previous, cut, summary, nodes = reply
        place = turn.conversation
        return Path(
            question_id,
            tuple(Node(id, parent, self._said(place, kind, text)) for kind, id, parent, text in reversed(nodes)),
            _answer(self._opened(place, previous)) if previous else None,
            cut,
            self._store.texts.read(summary, str(place)),
        )

    async def asked(self, conversation: ConversationKey, id: str) -> Question | None:
        """A question by its own id; None when there is none, or it is forgotten."""
        tree = ConversationKeys.of(conversation).tree
        node: str = await self._store.attempt(lambda: self._store.redis.hget(tree, id)) or ""
        *_, kind, text = node.split("\t", 4) if node.count("\t") >= 4 else ("", "")
        return _question(self._opened(conversation, text)) if kind == "q" else None

    async def all(self, conversation: ConversationKey) -> AsyncIterator[Node]:
        """Every question and answer that is kept there, in no order: those to which no path leads, and what was said
        beside the bot, as well."""
        place, redis, cursor = ConversationKeys.of(conversation), self._store.redis, 0
        heard: list[str] = await self._store.attempt(lambda: redis.lrange(place.heard, 0, -1))
        for entry in heard:
            id, _, text = entry.split("\t", 2)
            yield Node(id, "", self._said(conversation, "q", text))
        while True:
            at = cursor
            cursor, page = await self._store.attempt(lambda at=at: redis.hscan(place.tree, at, count=PAGE))
            for id, raw in page.items():
                parent, *_, kind, text = raw.split("\t", 4) if raw.count("\t") >= 4 else ("", "", "")
                if kind in ("a", "q"):
                    yield Node(id, parent, self._said(conversation, kind, text))
            if not int(cursor):
                return

    async def has_begun(self, conversation: ConversationKey) -> bool:
        """Whether anything is known of what was said there."""
        tree = ConversationKeys.of(conversation).tree
        return bool(await self._store.attempt(lambda: self._store.redis.exists(tree)))

    async def older(self, conversation: ConversationKey, id: str, tokens: int) -> Older:
        """What lies before a message, oldest first, up to ``tokens``; for its summary."""
        keys = conversation_keys(ConversationKeys.of(conversation))
        forgettings, earlier, nodes = await self._store.run("older", keys, (id, tokens))
        found = tuple(Node(i, p, self._said(conversation, kind, text)) for kind, i, p, text in reversed(nodes))
        return Older(found, self._store.texts.read(earlier, str(conversation)), forgettings)

    async def put_summary(self, conversation: ConversationKey, id: str, older: Older, summary: str) -> bool:
        """Keeps the summary of what lies before a message. False when something of it was forgotten meanwhile."""
        keys = conversation_keys(ConversationKeys.of(conversation))
        sealed = self._store.texts.seal(summary, str(conversation))
        return bool(await self._store.run("summarised", keys, (id, older.forgettings, sealed)))

    async def start_afresh(self, conversation: ConversationKey) -> None:
        """The next question gets no parent. What was said stays reachable by replying to it."""
        keys, redis = ConversationKeys.of(conversation), self._store.redis
        await self._store.attempt(lambda: redis.hdel(keys.state, "newest"))
        await self._store.attempt(lambda: redis.unlink(keys.heard))

    async def choose(self, conversation: ConversationKey, name: str, value: str) -> None:
        """What people chose for this conversation, from the next turn on: a name of ``preferences.FIELDS`` and the
        value as it is kept; an empty one takes the choice back."""
        state = ConversationKeys.of(conversation).state
        if name in OF_CHANNELS:
            await channels.choose(self._store, conversation, name, value)

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            if value:
                pipe.hset(state, name, value)
            else:
                pipe.hdel(state, name)
            pipe.expire(state, self._keep_seconds)
            await pipe.execute()

        await self._store.attempt(work)

    async def preferences(self, conversation: ConversationKey) -> Preferences:
        """What people chose for this conversation."""
        state = ConversationKeys.of(conversation).state
        return Preferences.of(await self._store.attempt(lambda: self._store.redis.hmget(state, list(FIELDS))))

    async def known(self, conversation: ConversationKey, message_id: str, call: str) -> Known:
        """What there is of the answer that a message shows, the newest where none is named. ``call`` names what a
        button under it asks for."""
        keys = conversation_keys(ConversationKeys.of(conversation))
        state, under_way, askers, answer, chosen = await self._store.run("known", keys, (message_id, call))
        return Known(
            State(state),
            bool(under_way),
            tuple(filter(None, askers.split("\t"))),
            _answer(self._opened(conversation, answer)) if answer else None,
            Preferences.of(chosen),
        )

    async def stop(self, conversation: ConversationKey, message_id: str) -> bool:
        """Stops the answer that a message shows, wherever it is made. False when it is not being made."""
        keys = ConversationKeys.of(conversation)
        return bool(await self._store.run("stop", conversation_keys(keys), (keys.name, message_id)))

    async def put_image(self, conversation: ConversationKey, digest: str, data: str) -> None:
        """Keeps a picture (base64) for the next turns."""
        from core.storage.keys import BLOB_SECONDS

        keys, sealed = ConversationKeys.of(conversation), self._store.texts.seal(data, str(conversation))
        await self._store.attempt(lambda: self._store.redis.set(keys.blob(digest), sealed, ex=BLOB_SECONDS))

    async def get_images(self, conversation: ConversationKey, digests: list[str]) -> list[str | None]:
        """The pictures that are still kept, as base64."""
        keys, texts = ConversationKeys.of(conversation), self._store.texts
        names = [keys.blob(digest) for digest in digests]
        kept: list[str | None] = await self._store.attempt(lambda: self._store.redis.mget(names))
        return [texts.read(data, str(conversation), unreadable="") or None if data else None for data in kept]

    def _said(self, conversation: ConversationKey, kind: str, text: str) -> Question | Answer:
        payload = self._opened(conversation, text)
        return _answer(payload) if kind == "a" else _question(payload)

    def _opened(self, conversation: ConversationKey, payload: str) -> str:
        return self._store.texts.read_json(payload, str(conversation))


def _question(text: str) -> Question:
    values = json.loads(text)
    if quote := values.get("quote"):
        values["quote"] = Quote(**quote)
    return Question(
        values.get("text", ""),
        values.get("author", ""),
        values.get("at", 0),
        values.get("quote"),
        tuple(values.get("images", ())),
        asker=values.get("asker", ""),
        album=values.get("album", ""),
        files=tuple(Attached.of(file) for file in values.get("files", ())),
        readings=tuple(values.get("readings", ())),
    )


def _answer(text: str) -> Answer:
    values = json.loads(text)
    return Answer(
        values.get("text", ""),
        tuple(values.get("pages", ())),
        values.get("ending", ""),
        values.get("model", ""),
        values.get("cost", 0),
    )
