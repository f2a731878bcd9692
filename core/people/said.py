"""What a person said in conversations, and what was answered to them.

Nothing tells where somebody wrote: an index would cost every message, and would not know what is there already. So all
conversations are looked through, which takes about a second for ten thousand messages and happens only when somebody
asks for it.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from core.conversation.history import Answer, History, Node, Question
from core.message import ConversationKey, Platform
from core.people.privacy import File, Subject, readable, safe_name
from core.storage import keys
from core.storage.client import Store, conversation_keys
from core.storage.keys import ConversationKeys
from core.storage.scanning import fields_of

CHUNK = 100
"""Messages forgotten in one round trip."""
AT_ONCE = 16
"""Conversations looked at side by side."""
MINE = ("blob", "album", "creation", "making", "made")
"""Keys that lie beside a conversation, by names of their own."""
PICTURES = ((b"\x89PNG", "png"), (b"\xff\xd8", "jpg"), (b"RIFF", "webp"), (b"GIF8", "gif"))


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation that holds something of the person."""

    conversation: ConversationKey
    questions: tuple[str, ...] = ()
    """Ids of theirs in the tree."""
    quoting: tuple[str, ...] = ()
    """Ids of others' questions that quote them."""
    is_theirs: bool = False
    """A private chat of theirs: all of it is."""


@dataclass(frozen=True, slots=True)
class Conversations:
    """The source of it."""

    store: Store
    history: History
    own: str = ""
    """Id of the call that asks."""
    left: list[ConversationKey] = field(default_factory=list[ConversationKey])
    """Private conversations erased here, of which something is still to go (``core/people/tidying.py``)."""
    name: str = "messages"

    async def count(self, subject: Subject) -> int:
        return sum([len(found.questions) async for found in self._find(subject)])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        async for found in self._find(subject):
            if not found.questions:
                continue
            folder = f"conversations/{safe_name(str(found.conversation))}"
            nodes = [node async for node in self.history.all(found.conversation)]
            wanted, answers = set(found.questions), dict[str, list[Answer]]()
            for node in nodes:
                if isinstance(node.said, Answer) and node.parent in wanted:
                    answers.setdefault(node.parent, []).append(node.said)
            asked = [(node, node.said) for node in nodes if node.id in wanted and isinstance(node.said, Question)]
            asked.sort(key=lambda pair: (pair[1].at, pair[0].id))
            told, shown = list[Mapping[str, Any]](), dict[str, str]()
            for node, question in asked:
                fresh = [digest for digest in dict.fromkeys(question.images) if digest not in shown]
                async for digest, picture in self._pictures(found.conversation, folder, fresh):
                    shown[digest] = picture.path
                    yield picture
                paths = [shown[digest] for digest in question.images if digest in shown]
                told.append(_told(node, question, answers.get(node.id, ()), paths, is_theirs=found.is_theirs))
            yield File(f"{folder}.json", readable({"conversation": str(found.conversation), "messages": told}))

    async def erase(self, subject: Subject) -> None:
        mine = list[ConversationKey]()
        async for found in self._find(subject):
            await self._forget(found)
            for account in subject.ids(found.conversation.platform):
                arguments = (str(found.conversation), account, self.own, *found.quoting)
                await self.store.run("erase", conversation_keys(ConversationKeys.of(found.conversation)), arguments)
            if found.is_theirs:
                await self._clear(found.conversation)
                mine.append(found.conversation)
        if mine:
            await remove_beside(self.store, mine, MINE)
        self.left.extend(mine)

    async def _forget(self, found: Found) -> None:
        place = ConversationKeys.of(found.conversation)
        for at in range(0, len(found.questions), CHUNK):
            ids = found.questions[at : at + CHUNK]
            _, *pictures = await self.store.run("forget", conversation_keys(place), (place.name, *ids))
            if blobs := [place.blob(digest) for digest in pictures]:
                await self.store.attempt(lambda blobs=blobs: self.store.redis.delete(*blobs))

    async def _clear(self, conversation: ConversationKey) -> None:
        place, redis = ConversationKeys.of(conversation), self.store.redis
        past = (place.tree, place.order, place.notices, place.votes, place.heard)
        await self.store.attempt(lambda: redis.unlink(*past))
        bot = conversation.platform, conversation.bot
        await self.store.attempt(lambda: redis.zrem(keys.places(*bot), place.name))
        await self.store.attempt(lambda: redis.hdel(keys.last_seen(*bot), place.name))

    async def _pictures(
        self, conversation: ConversationKey, folder: str, digests: list[str]
    ) -> AsyncIterator[tuple[str, File]]:
        kept = await self.history.get_images(conversation, digests) if digests else []
        for digest, text in zip(digests, kept, strict=True):
            if text:
                data = base64.b64decode(text)
                kind = next((kind for mark, kind in PICTURES if data.startswith(mark)), "bin")
                yield digest, File(f"{folder}/{safe_name(digest)}.{kind}", data)

    async def _find(self, subject: Subject) -> AsyncIterator[Found]:
        known = await conversations(self.store, lambda platform: bool(subject.ids(platform)))
        for at in range(0, len(known), AT_ONCE):
            for found in await asyncio.gather(*(self._look(one, subject) for one in known[at : at + AT_ONCE])):
                if found is not None:
                    yield found

    async def _look(self, conversation: ConversationKey, subject: Subject) -> Found | None:
        found = await self._read(conversation, subject)
        if found.questions or found.quoting or found.is_theirs or await self._waits(conversation, subject):
            return found
        return None

    async def _read(self, conversation: ConversationKey, subject: Subject) -> Found:
        ids, place = subject.ids(conversation.platform), ConversationKeys.of(conversation)
        questions, quoting, others = list[str](), list[str](), False
        async for id, payload in _questions(self.store, place):
            if payload.get("asker") in ids:
                questions.append(id)
                continue
            others = True
            quote: object = payload.get("quote")
            if isinstance(quote, dict) and quote.get("author_id") in ids:  # pyright: ignore[reportUnknownMemberType]
                quoting.append(id)
        is_theirs = not conversation.inline and is_chat_of(conversation, ids)
        if questions and not others and not is_theirs and conversation.platform is Platform.DISCORD:
            is_theirs = await self._is_direct(place)
        return Found(conversation, tuple(questions), tuple(quoting), is_theirs)

    async def _is_direct(self, place: ConversationKeys) -> bool:
        """Whether a conversation of one person's is a direct message chat, whose name does not tell: there was a turn,
        and in no space."""
        redis = self.store.redis
        if await self.store.attempt(lambda: redis.hget(place.state, "space")):
            return False
        return bool(await self.store.attempt(lambda: redis.exists(place.tree)))

    async def _waits(self, conversation: ConversationKey, subject: Subject) -> bool:
        """Whether something of theirs waits there, or is being answered, that is in no tree yet."""
        ids, place = subject.ids(conversation.platform), ConversationKeys.of(conversation)

        async def work() -> tuple[list[str], str | None]:
            pipe = self.store.redis.pipeline(transaction=False)
            pipe.lrange(place.box, 0, -1)
            pipe.hget(place.turn, "entry")
            waiting, entry = await pipe.execute()
            return waiting, entry

        waiting, entry = await self.store.attempt(work)
        return any(f'"{id}"' in text for id in ids for text in (*waiting, entry or ""))


def is_chat_of(conversation: ConversationKey, ids: frozenset[str]) -> bool:
    """Whether a conversation's name alone says that it is a private chat of an account's."""
    if conversation.platform is Platform.TELEGRAM:
        return conversation.chat in ids
    return conversation.platform is Platform.WEB and conversation.chat.partition("-")[0] in ids


async def conversations(store: Store, is_wanted: Callable[[Platform], bool]) -> list[ConversationKey]:
    """All that there are on the platforms that are wanted. Raises StorageError."""

    async def work() -> set[str]:
        names: set[str] = set()
        async for key in store.redis.scan_iter(match="parley:{??}:*", count=1000):
            kind, _, name = key[len("parley:{00}:") :].partition(":")
            if kind in ("tree", "state", "box", "turn", "heard"):
                names.add(name)
        return names

    found: list[ConversationKey] = []
    for name in sorted(await store.attempt(work)):
        try:
            conversation = ConversationKey.parse(name)
        except ValueError:
            # Of a newer program, on a platform that this one does not know.
            continue
        if is_wanted(conversation.platform):
            found.append(conversation)
    return found


async def remove_beside(store: Store, gone: Sequence[ConversationKey], kinds: Sequence[str]) -> None:
    """Removes the keys of those kinds that lie beside conversations, like pictures. Raises StorageError."""
    names = {str(conversation) for conversation in gone}

    async def work() -> None:
        async for key in store.redis.scan_iter(match="parley:{??}:*", count=1000):
            kind, _, rest = key[len("parley:{00}:") :].partition(":")
            if kind in kinds and ":".join(rest.split(":", 4)[:4]) in names:
                await store.redis.unlink(key)

    await store.attempt(work)


async def _questions(store: Store, place: ConversationKeys) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
    """All questions of a conversation, and what was said beside the bot, with what is known of them."""
    async for id, raw in fields_of(store, place.tree):
        *_, kind, payload = raw.split("\t", 4) if raw.count("\t") >= 4 else ("", "")
        if kind == "q":
            yield id, json.loads(payload)
    heard: list[str] = await store.attempt(lambda: store.redis.lrange(place.heard, 0, -1))
    for entry in heard:
        id, _, payload = entry.split("\t", 2)
        yield id, json.loads(payload)


def _told(
    node: Node, question: Question, answers: Sequence[Answer], pictures: Sequence[str], *, is_theirs: bool
) -> Mapping[str, Any]:
    """A question and the answers to it. In a group what is not known to be theirs is left out: a quotation's words, and
    files that may have come with it."""
    told: dict[str, Any] = {
        "id": node.id,
        "at": datetime.fromtimestamp(question.at, UTC).isoformat(),
        "name": question.author,
        "text": question.text,
    }
    if question.quote and is_theirs:
        told["in_reply_to"] = question.quote.text
    if question.files and (is_theirs or not question.quote):
        told["files"] = [{"name": file.name, "read_as": file.text} for file in question.files]
    if pictures:
        told["pictures"] = list(pictures)
    told["answers"] = [{"text": answer.text, "model": answer.model} for answer in answers]
    return told
