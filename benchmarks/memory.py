"""Mailbox and history without durability: the same interfaces over plain objects of this process.

What Parley costs with these against what it costs with its own is what durability costs. They do what a bot does
that keeps everything in memory, and nothing that only Redis needs: no JSON, no fencing, no leases that run out.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from core.conversation.history import Answer, Mode, Node, Older, Path, Question
from core.conversation.mailbox import LISTEN_SECONDS, Admission, Bot, Later, Posted
from core.conversation.preferences import FIELDS, Preferences
from core.conversation.turn import Turn, Work
from core.message import CommandCall, ConversationKey, Deletion, Message
from core.parts import Ending, Finished
from core.storage.failed import Failure

MOST_NODES = 1000
"""Read of a path at most, as by the script."""


@dataclass(slots=True)
class _Kept:
    """A message in the tree."""

    node: Node
    before: int
    tokens: int


@dataclass(slots=True)
class _Room:
    """What is known of a conversation."""

    waiting: deque[Message | CommandCall] = field(default_factory=deque[Message | CommandCall])
    open: Turn | None = None
    turns: int = 0
    newest: str = ""
    preferences: Preferences = field(default_factory=Preferences)
    chosen: dict[str, str] = field(default_factory=dict[str, str])
    stopped: str = ""
    tree: dict[str, _Kept] = field(default_factory=dict[str, _Kept])
    answers: dict[str, str] = field(default_factory=dict[str, str])


class Rooms:
    """The conversations that a mailbox and a history share."""

    def __init__(self) -> None:
        self._rooms: dict[ConversationKey, _Room] = {}

    def __getitem__(self, conversation: ConversationKey) -> _Room:
        room = self._rooms.get(conversation)
        if room is None:
            room = self._rooms[conversation] = _Room()
        return room

    def with_work(self) -> list[Work]:
        return [
            Work(key, room.waiting[0].space) for key, room in self._rooms.items() if room.waiting and room.open is None
        ]


class MemoryMailbox:
    """In place of :class:`core.conversation.mailbox.Mailbox`."""

    def __init__(self, rooms: Rooms, admission: Admission) -> None:
        self._rooms = rooms
        self._admission = admission
        self._seen: set[tuple[ConversationKey, str]] = set()

    async def post(
        self,
        incoming: Sequence[Message | CommandCall],
        urgent: Collection[str] = (),
        *,
        wakes: bool = False,
        is_owed: bool = False,
    ) -> list[Posted]:
        for value in incoming:
            if value.id in urgent:
                self._stop(value)
        return [self._post(value) for value in incoming]

    def _stop(self, call: Message | CommandCall) -> None:
        room = self._rooms[call.conversation]
        if room.open is not None:
            room.stopped = call.id
            room.open.interrupt(Ending.STOPPED)

    def _post(self, value: Message | CommandCall) -> Posted:
        update = (value.conversation, value.update)
        if update in self._seen:
            return Posted.SEEN
        self._seen.add(update)
        room = self._rooms[value.conversation]
        if len(room.waiting) >= self._admission.conversation:
            return Posted.FULL
        room.waiting.append(value)
        return Posted.ACCEPTED

    async def take(self, conversation: ConversationKey, later: Later | None = None) -> Turn | None:
        room = self._rooms[conversation]
        return self._next(conversation, room) if room.open is None else None

    def _next(self, conversation: ConversationKey, room: _Room) -> Turn | None:
        if not room.waiting:
            return None
        room.turns += 1
        entry = room.waiting.popleft()
        room.open = Turn(conversation, str(room.turns), "", entry, preferences=room.preferences, lease_ends=math.inf)
        return room.open

    async def renew(self, turns: Sequence[Turn]) -> None:
        return None

    async def release(self, turn: Turn) -> None:
        room = self._rooms[turn.conversation]
        room.waiting.appendleft(turn.incoming)
        room.open = None

    async def has_stopped(self, call: CommandCall) -> bool:
        return self._rooms[call.conversation].stopped == call.id

    async def forget(self, deletion: Deletion) -> int:
        tree = self._rooms[deletion.conversation].tree
        return sum(tree.pop(id, None) is not None for id in deletion.ids)

    async def about_to_create(
        self, turn: Turn, page: int, mark: str, text: str = "", finished: Finished | None = None
    ) -> None:
        return None

    async def created(self, turn: Turn, page: int, message_id: str) -> None:
        turn.pages[page] = message_id

    async def taking_back(self, turn: Turn, message_id: str) -> None:
        self._rooms[turn.conversation].tree.pop(message_id, None)

    async def recent(self, conversation: ConversationKey) -> list[str]:
        return list(self._rooms[conversation].tree)[::-1]

    async def failed(self, turn: Turn, cause: str) -> None:
        turn.causes = (*turn.causes, cause)

    async def finish(
        self,
        turn: Turn,
        answer: str,
        tokens: int,
        failure: Failure | None = None,
        later: Later | None = None,
    ) -> Turn | None:
        room = self._rooms[turn.conversation]
        question = room.tree.get(turn.question)
        if question is not None and turn.pages:
            first = turn.pages[min(turn.pages)]
            node = Node(first, turn.question, Answer(**json.loads(answer)))
            kept = _Kept(node, question.before + question.tokens, tokens)
            room.tree.update(dict.fromkeys(turn.pages.values(), kept))
            room.answers[turn.question] = room.newest = first
        room.open = None
        return self._next(turn.conversation, room)

    async def waiting(self, bots: Iterable[Bot], *, own: bool = False, most: int = 1000) -> list[Work]:
        return self._rooms.with_work()

    async def wake_ups(self, bots: Iterable[Bot], most: int) -> list[Work]:
        await asyncio.sleep(LISTEN_SECONDS)
        return []


class MemoryHistory:
    """In place of :class:`core.conversation.history.History`; without pictures and summaries."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

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
        room = self._rooms[turn.conversation]
        asked = room.tree.get(id)
        if asked is None:
            parent = room.tree.get(reply_to) or room.tree.get(room.newest)
            before = parent.before + parent.tokens if parent else 0
            asked = _Kept(Node(id, parent.node.id if parent else "", question), before, question.tokens)
            room.tree[id] = asked
        room.newest = id
        total = asked.before + asked.tokens
        step = max(1, window // 4)
        cut = math.ceil((total - window) / step) * step if total > window else 0
        nodes = [asked.node]
        while (parent := room.tree.get(nodes[-1].parent)) and parent.before >= cut and len(nodes) < MOST_NODES:
            nodes.append(parent.node)
        first = nodes[-1]
        nodes.reverse()
        previous = room.tree.get(room.answers.get(id, ""))
        answer = previous.node.said if previous else None
        return Path(id, tuple(nodes), answer if isinstance(answer, Answer) else None, first.id if first.parent else "")

    async def older(self, conversation: ConversationKey, id: str, tokens: int) -> Older:
        return Older((), "", "0")

    async def put_summary(self, conversation: ConversationKey, id: str, older: Older, summary: str) -> bool:
        return False

    async def start_afresh(self, conversation: ConversationKey) -> None:
        self._rooms[conversation].newest = ""

    async def choose(self, conversation: ConversationKey, name: str, value: str) -> None:
        room = self._rooms[conversation]
        room.chosen[name] = value
        room.preferences = Preferences.of([room.chosen.get(field) for field in FIELDS])

    async def put_image(self, conversation: ConversationKey, digest: str, data: str) -> None:
        return None

    async def get_images(self, conversation: ConversationKey, digests: list[str]) -> list[str | None]:
        return [None for _ in digests]
