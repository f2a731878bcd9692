"""The mailbox of a conversation, its lease, and the record of its open turn.

``post`` makes an incoming value durable; ``take`` gives a worker the lease with the open or the next turn; the
journal notes what was created on the platform; ``finish`` closes the turn and opens the next.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import structlog

from core import clock, faults
from core.conversation.turn import Turn, Work, read_turn
from core.errors import LeaseLost
from core.message import CommandCall, ConversationKey, Deletion, Message, Platform, relocated
from core.message_json import compact, to_json
from core.parts import Finished
from core.people.spaces import kept_days
from core.storage import channels
from core.storage import failed as dead_letters
from core.storage import keys as storage_keys
from core.storage.client import Store, conversation_keys, partition_keys
from core.storage.failed import Failure
from core.storage.keys import ConversationKeys

log = structlog.get_logger()

LEASE_SECONDS = 6.0
"""A dead worker's conversations are taken over within this time, and one sweep. Renewed every third of it."""
HEARD_SECONDS = 0.5
"""A wake-up is heard within this time; a conversation whose work waits for longer is found by sweeps."""
NO_BOUND = 10**9
"""For what has to be taken."""
RECENT = 100
"""Ids that :meth:`Mailbox.recent` gives."""
LISTEN_SECONDS = 2.0
"""One wait for wake-ups: less than a command may take."""


Later = Callable[[float], None]
"""Is told in how many seconds a conversation has a turn that it has not yet."""


class Posted(StrEnum):
    ACCEPTED = "accepted"
    SEEN = "seen"
    HELD = "held"
    """A piece of an album: kept for a moment, should another piece of it turn to the bot."""
    FULL = "full"
    """Too many wait: one notice will tell of it."""
    REFUSED = "refused"
    """Far too many wait in all, so that even a notice would be one too many."""


@dataclass(frozen=True, slots=True)
class Bot:
    """An account that answers: its conversations are served by processes that can speak for it."""

    platform: Platform
    id: str


@dataclass(frozen=True, slots=True)
class Admission:
    """How many messages may wait before one notice stands for all that are too many."""

    conversation: int = 20
    space: int = 200
    all: int = 20_000

    @property
    def of_space(self) -> int:
        """In one partition: a space's conversations are spread unevenly, and may all lie in one."""
        return max(self.conversation, 2 * self.space // storage_keys.PARTITIONS)

    @property
    def of_all(self) -> int:
        """In one partition."""
        return max(1, self.all // storage_keys.PARTITIONS)


def _works(texts: Iterable[str]) -> list[Work]:
    found: list[Work] = []
    for text in texts:
        try:
            found.append(Work.parse(text))
        except ValueError:
            # Of a newer program, on a platform that this one does not know.
            log.warning("a conversation that is not known here", name=text.partition("\t")[0])
    return found


class _Sent:
    """When a script was sent, the last time if it took several: a lease counts from then at the latest."""

    at = 0.0

    def __call__(self) -> None:
        self.at = clock.seconds()


class Mailbox:
    """All conversations' mailboxes, as one worker or receiver sees them."""

    def __init__(
        self, store: Store, worker: str, admission: Admission, *, keep_days: int, wakes_itself: bool = False
    ) -> None:
        """``worker`` names this process among all, the same after a restart. ``wakes_itself``: who posts here wakes
        a worker of this process, so that no other has to be told."""
        self._store = store
        self._worker = worker
        self._admission = admission
        self._keep_days = keep_days
        self._keep_seconds = keep_days * 86400
        self._wakes_itself = int(wakes_itself)
        self._tries = itertools.count()
        self._run = secrets.token_hex(4)

    async def post(
        self,
        incoming: Sequence[Message | CommandCall],
        urgent: Collection[str] = (),
        *,
        wakes: bool = False,
        is_owed: bool = False,
    ) -> list[Posted]:
        """Makes them durable, in order, in one round trip. Raises StorageError: then none may be acknowledged.

        ``urgent`` are ids of calls that ask the open turn to end, wherever it runs: in groups their caller's own, and
        whosever it is only where the caller is known as an administrator. ``wakes``: a worker is told of it in any
        case, for those who post and have none to wake. ``is_owed``: it is taken however many wait, since it was
        promised, and its number is bounded elsewhere.
        """
        if not incoming:
            return []
        replies: list[str] = await self._post(incoming, urgent, wakes, is_owed)
        return [
            # Directed to another conversation: a group became a supergroup.
            (
                await self.post(
                    [relocated(value, ConversationKey.parse(reply[6:]))], urgent, wakes=wakes, is_owed=is_owed
                )
            )[0]
            if reply.startswith("moved ")
            else Posted(reply)
            for value, reply in zip(incoming, replies, strict=True)
        ]

    async def _post(
        self, incoming: Sequence[Message | CommandCall], urgent: Collection[str], wakes: bool, is_owed: bool
    ) -> list[str]:
        admission = Admission(NO_BOUND, NO_BOUND, NO_BOUND) if is_owed else self._admission
        calls: list[tuple[Sequence[str], Sequence[str | int | float]]] = []
        for value in incoming:
            keys = ConversationKeys.of(value.conversation)
            edited = value.id if isinstance(value, Message) and value.edited else ""
            arguments = (
                keys.name,
                self._store.texts.seal_json(to_json(value), keys.name),
                storage_keys.SEEN_SECONDS,
                admission.conversation,
                edited,
                value.space,
                admission.of_space,
                admission.of_all,
                0 if wakes else self._wakes_itself,
                value.id if value.id in urgent else "",
                value.album if isinstance(value, Message) else "",
                value.author.id if isinstance(value, CommandCall) and not (value.private or value.by_admin) else "",
            )
            calls.append((conversation_keys(keys, seen=keys.seen(value.update)), arguments))
        return await self._store.run_many("post", calls)

    async def take(self, conversation: ConversationKey, later: Later | None = None) -> Turn | None:
        """The open or next turn with the lease; None when there is none or another worker has it.

        ``later`` is told when there will be one for whoever looks again then: an album waits for its further pieces.
        """
        keys = ConversationKeys.of(conversation)
        sent = _Sent()
        attempt = f"{self._run}/{next(self._tries)}"
        arguments = (keys.name, self._worker, int(LEASE_SECONDS * 1000), self._keep_seconds, attempt)
        reply = await self._store.run("take", conversation_keys(keys), arguments, sent)
        return self._taken(conversation, reply, sent.at, later)

    async def renew(self, turns: Sequence[Turn]) -> None:
        """Keeps the leases, in one round trip, and hears of interruptions. A lost lease interrupts its turn."""
        if not turns:
            return
        calls: list[tuple[Sequence[str], Sequence[str | int | float]]] = []
        for turn in turns:
            keys = ConversationKeys.of(turn.conversation)
            calls.append((conversation_keys(keys), (keys.name, turn.fence, int(LEASE_SECONDS * 1000))))
        sent = _Sent()
        for turn, reply in zip(turns, await self._store.run_many("renew", calls, sent), strict=True):
            if isinstance(reply, LeaseLost):
                turn.lease_ends = 0.0
                turn.interrupt("stale")
                continue
            turn.lease_ends = sent.at + LEASE_SECONDS
            if reply:
                turn.interrupt(str(reply))

    async def release(self, turn: Turn) -> None:
        """Hands the open turn over: another worker goes on with it at once. Raises LeaseLost."""
        keys = ConversationKeys.of(turn.conversation)
        await self._store.run("release", conversation_keys(keys), (keys.name, turn.fence))

    async def has_stopped(self, call: CommandCall) -> bool:
        """Whether this call ended a turn."""
        keys = ConversationKeys.of(call.conversation)
        return await self._store.attempt(lambda: self._store.redis.hget(keys.state, "stopped")) == call.id

    async def has_spared(self, call: CommandCall) -> bool:
        """Whether this call was to end a turn that is somebody else's."""
        keys = ConversationKeys.of(call.conversation)
        return await self._store.attempt(lambda: self._store.redis.hget(keys.state, "spared")) == call.id

    async def forget(self, deletion: Deletion) -> int:
        """Removes messages, their answers and their pictures for good; how many messages were known."""
        keys = ConversationKeys.of(deletion.conversation)
        known, *pictures = await self._store.run("forget", conversation_keys(keys), (keys.name, *deletion.ids))
        if pictures:
            blobs = [keys.blob(digest) for digest in pictures]
            await self._store.attempt(lambda: self._store.redis.delete(*blobs))
        return int(known)

    async def leave(
        self, conversation: ConversationKey, *, chat: bool = False, space: str = "", gone: bool = False
    ) -> int:
        """Drops what waits where the bot can write no more, without a word, and ends the open turn; with ``chat`` in
        all conversations of the chat, with ``space`` in all of that one. ``gone``: the conversation itself was
        deleted, and what was said in it goes with it. How many waiting values were dropped."""
        name = f"{conversation.platform}:{conversation.bot}:"
        if not space:
            name = f"{name}{conversation.chat}:" if chat else str(conversation)
        every = range(storage_keys.PARTITIONS)
        partitions = every if chat or space else (ConversationKeys.of(conversation).partition,)
        arguments = (name, int(chat or bool(space)), space, int(gone))
        dropped = await self._store.run_many("leave", [(partition_keys(one), arguments) for one in partitions])
        if gone:
            keys = ConversationKeys.of(conversation)
            past = (keys.tree, keys.order, keys.notices, keys.votes, keys.heard, keys.made)
            await self._store.attempt(lambda: self._store.redis.unlink(*past))
            await channels.forget(self._store, conversation)
        return sum(map(int, dropped))

    async def about_to_create(
        self, turn: Turn, page: int, mark: str, text: str = "", finished: Finished | None = None
    ) -> None:
        """Records the slot of a message before it is created, with the whole answer when that is known."""
        turn.check_lease()
        turn.slot = (page, mark)
        fields = ["slot", f"{page}|{mark}"]
        if text and finished is not None:
            turn.text, turn.finished = text, finished
            sealed = self._store.texts.seal(text, str(turn.conversation))
            fields += ["text", sealed, "ending", finished.ending, "usage", payload(asdict(finished.usage))]
        await self._note(turn, fields)
        faults.reached("slotted")

    async def created(self, turn: Turn, page: int, message_id: str) -> None:
        """Records a created message's id."""
        turn.pages[page] = message_id
        turn.slot = None
        await self._note(turn, [f"m{page}", message_id, "slot", ""])

    async def taking_back(self, turn: Turn, message_id: str) -> None:
        """A page of an earlier form of the answer is about to be deleted: it stands for the answer no more."""
        keys = conversation_keys(ConversationKeys.of(turn.conversation))
        await self._store.run("take_back", keys, (turn.fence, turn.number, message_id))

    async def recent(self, conversation: ConversationKey) -> list[str]:
        """Ids of the newest messages in the tree, questions and answers with all their pages, newest first."""
        keys = ConversationKeys.of(conversation)

        async def work() -> list[str]:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.zrevrange(keys.order, 0, RECENT - 1)
            pipe.lrange(keys.notices, 0, RECENT - 1)
            in_tree, others = await pipe.execute()
            return [*in_tree, *others]

        return await self._store.attempt(work)

    async def _note(self, turn: Turn, fields: list[str]) -> None:
        await self._store.run(
            "note", conversation_keys(ConversationKeys.of(turn.conversation)), (turn.fence, turn.number, *fields)
        )

    async def failed(self, turn: Turn, cause: str) -> None:
        """Notes why a try at the turn failed, for the letter that is kept should it be given up. Raises LeaseLost."""
        turn.causes = (*turn.causes, cause)
        await self._note(turn, ["causes", "\n".join(turn.causes[-dead_letters.MAX_CAUSES :])])

    async def finish(
        self,
        turn: Turn,
        answer: str,
        tokens: int,
        failure: Failure | None = None,
        later: Later | None = None,
    ) -> Turn | None:
        """Closes the turn; the conversation's next turn, or None. ``answer`` is the payload for the tree.

        With a ``failure`` it is kept as a dead letter. ``later`` as for :meth:`take`.

        Raises LeaseLost when another worker has taken over.
        """
        keys = ConversationKeys.of(turn.conversation)
        sent = _Sent()
        pages = [turn.pages[number] for number in sorted(turn.pages)]
        days = kept_days(turn.space, self._keep_days)
        reply = await self._store.run(
            "finish",
            conversation_keys(keys),
            (
                keys.name,
                self._worker,
                turn.fence,
                int(LEASE_SECONDS * 1000),
                turn.number,
                turn.question,
                self._store.texts.seal_json(answer, keys.name),
                tokens,
                days * 86400,
                *dead_letters.arguments(failure, days),
                *pages,
            ),
            sent,
        )
        if failure is not None:
            dead_letters.tell(failure, turn.id)
        faults.reached("finished")
        return self._taken(turn.conversation, reply, sent.at, later)

    async def waiting(self, bots: Iterable[Bot], *, own: bool = False, most: int = 1000) -> list[Work]:
        """Conversations of the bots whose work nobody has taken up, at most ``most`` of each partition; with ``own``
        all with work, to try at the start."""
        served = [f"{bot.platform}:{bot.id}" for bot in bots]
        arguments = (most, int(own), int(LEASE_SECONDS * 1000), int(HEARD_SECONDS * 1000), *served)
        calls = [((storage_keys.ready(partition),), arguments) for partition in range(storage_keys.PARTITIONS)]
        found: list[Work] = []
        for reply in await self._store.run_many("sweep", calls):
            found += _works("\t".join(pair) for pair in zip(reply[::2], reply[1::2], strict=True))
        return found

    async def wake_ups(self, bots: Iterable[Bot], most: int) -> list[Work]:
        """Waits a while for wake-ups, those of any worker for the bots, and those meant for this one; up to ``most``.

        Hints only: a lost one is made good by a sweep. Raises StorageError.
        """
        partitions = range(storage_keys.PARTITIONS)
        keys = [storage_keys.calls(partition, self._worker) for partition in partitions]
        keys += [storage_keys.wake(partition, bot.platform, bot.id) for bot in bots for partition in partitions]
        return _works(await self._store.pop(keys, most, LISTEN_SECONDS))

    def _taken(self, conversation: ConversationKey, reply: list[Any], began: float, later: Later | None) -> Turn | None:
        if reply[0] == "wait" and later is not None:
            later(int(reply[1]) / 1000)
        if reply[0] != "turn":
            return None
        return read_turn(conversation, reply, began + LEASE_SECONDS, self._store.texts)


def payload(values: dict[str, Any]) -> str:
    """A tree node's payload."""
    return compact({name: value for name, value in values.items() if value})
