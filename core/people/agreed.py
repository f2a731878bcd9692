"""Conversations to learn from: those of people who agreed to it, and of nobody else.

A conversation is taken only where everybody whose words it holds agreed, what was overheard among them: an answer may
repeat what somebody else said before. So it is private chats, and groups and threads of people who all agreed. Of a
question its text alone is taken; files, pictures, quotations and names are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from core.conversation.history import Answer, History, Node, Question
from core.message import ConversationKey, Verdict
from core.people.identity import People
from core.people.privacy import Subject
from core.people.said import conversations
from core.storage.client import Store
from core.storage.keys import ConversationKeys

LONGEST = 40
"""Messages of one path: what is before is left out."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A path through a conversation: questions and answers in turn, ending in an answer."""

    texts: tuple[str, ...]
    is_liked: bool = False
    """Whether the asker gave the last answer a thumbs-up."""

    def to_line(self) -> str:
        """A line of OpenAI's chat form."""
        roles = ("user", "assistant")
        messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(self.texts)]
        return json.dumps({"messages": messages}, ensure_ascii=False)


async def agreed(store: Store, people: People) -> list[Subject]:
    """Who agreed, as it is now. Raises StorageError."""
    found: list[Subject] = []
    for id in await people.records.ids():
        person = (await people.fresh(id)).value
        if person.id == id and person.may_teach and not person.blocked:
            found.append(Subject.of(person, id))
    return found


async def chats(store: Store, history: History, who: Sequence[Subject]) -> AsyncIterator[Chat]:
    """All that may be learned from. What was forgotten or is over its time is not there. Raises StorageError."""
    for conversation in await conversations(store, lambda platform: any(one.ids(platform) for one in who)):
        ids = frozenset(id for one in who for id in one.ids(conversation.platform))
        place = ConversationKeys.of(conversation)
        heard = [
            str(json.loads(entry.split("\t", 2)[2]).get("asker", ""))
            for entry in await store.attempt(lambda place=place: store.redis.lrange(place.heard, 0, -1))
        ]
        nodes = {node.id: node async for node in history.all(conversation)}
        asked = [node.said.asker for node in nodes.values() if isinstance(node.said, Question)]
        if not asked or not all(asker in ids for asker in (*asked, *heard)):
            continue
        votes: Mapping[str, str] = await store.attempt(lambda place=place: store.redis.hgetall(place.votes))
        for chat in _paths(nodes, _verdicts(conversation, ids, votes)):
            yield chat


def _paths(nodes: Mapping[str, Node], verdicts: Mapping[str, str]) -> list[Chat]:
    """Each way from the first question to an answer after which nothing more was asked."""
    followed = {node.parent for node in nodes.values() if isinstance(node.said, Question)}
    found: list[Chat] = []
    for node in nodes.values():
        if not isinstance(node.said, Answer) or node.id in followed or not node.said.text.strip():
            continue
        verdict = next((verdicts[id] for id in (node.id, *node.said.pages) if id in verdicts), "")
        texts = _texts(nodes, node)
        if texts and verdict != Verdict.DOWN:
            found.append(Chat(texts, verdict == Verdict.UP))
    return found


def _texts(nodes: Mapping[str, Node], last: Node) -> tuple[str, ...]:
    texts: list[str] = []
    at: Node | None = last
    while at is not None and len(texts) < LONGEST:
        is_answer = len(texts) % 2 == 0
        if isinstance(at.said, Answer) != is_answer or not at.said.text.strip():
            break
        texts.append(at.said.text)
        at = nodes.get(at.parent)
    # It begins with a question.
    return tuple(reversed(texts[: len(texts) // 2 * 2]))


def _verdicts(conversation: ConversationKey, ids: frozenset[str], votes: Mapping[str, str]) -> dict[str, str]:
    """Message -> what those who agreed think of it, as ``core/storage/feedback.py`` keeps it."""
    voters = {hashlib.sha256(f"{conversation.bot}:{id}".encode()).hexdigest()[:16] for id in ids}
    found: dict[str, str] = {}
    for name, vote in votes.items():
        message, _, voter = name.partition("\t")
        if voter in voters and vote.count("\t") >= 2:
            found[message] = vote.split("\t", 2)[1]
    return found
