"""Where adapters hand over what came in. It returns once everything is in Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

import structlog

from core import faults
from core.access import Reading, decide_reading
from core.commands.secret import guarded
from core.commands.table import BY_NAME
from core.conversation.mailbox import Mailbox, Posted
from core.conversation.moving import Mover
from core.conversation.overheard import Overheard
from core.conversation.turn import Work
from core.message import (
    Arrival,
    CommandCall,
    ConversationKey,
    Deletion,
    Departure,
    Incoming,
    Message,
    Platform,
    Reacted,
    Reaction,
    Relocation,
    Seen,
    Sighting,
)
from core.storage.feedback import Feedback
from core.storage.sealing import OPEN, Sealing
from core.storage.shared import Places
from core.storage.spaces_seen import SpacesSeen
from core.worker import Worker

log = structlog.get_logger()

Hears = Callable[[Message], Awaitable[Reading]]
"""What is done with a message in a space. Raises StorageError."""
Looks = Callable[[Sequence[Seen]], Awaitable[Collection[tuple[ConversationKey, str]]]]
"""What a space's rules make of what was said and done there: tells the messages that are not to be answered. What they
want done is durable when it returns. Raises StorageError."""


class Inbox:
    """The receiving end of the engine, for every platform.

    ``worker`` is the one in this process, if there is one: waking it directly saves the way through Redis.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        worker: Worker | None,
        places: Places,
        mover: Mover,
        feedback: Feedback,
        spaces: SpacesSeen | None = None,
        sealing: Sealing = OPEN,
        hears: Hears | None = None,
        overheard: Overheard | None = None,
        looks: Looks | None = None,
    ) -> None:
        """Without ``hears`` all is answered that comes; without ``overheard`` nothing is kept of what is for others;
        without ``looks`` no rules hold."""
        self._mailbox = mailbox
        self._worker = worker
        self._places = places
        self._mover = mover
        self._feedback = feedback
        self._spaces = spaces
        self._sealing = sealing
        self._hears = hears
        self._overheard = overheard
        self._looks = looks

    async def accept(self, incoming: Sequence[Incoming]) -> Sequence[Incoming]:
        """Makes the values durable in their order. Raises StorageError: then none may be acknowledged.

        Tells which of them were too many: one notice stands for them, or not even that.
        """
        too_many: list[Incoming] = []
        faults.reached("received")
        stopped = await self._look(incoming)
        posts: list[Message | CommandCall] = []
        gossip: list[Message] = []
        for value in incoming:
            if isinstance(value, Reaction):
                await self._count(value)
            elif isinstance(value, Deletion | Departure | Relocation):
                # In their order: what came before is told first.
                await self._overhear(gossip)
                too_many += await self._post(posts)
                posts, gossip = [], []
                await self._tell(value)
            elif isinstance(value, Sighting | Arrival | Reacted) or (_stood_in(value), value.id) in stopped:
                continue
            elif (reading := await self._reading(value)) is Reading.ANSWER:
                posts.append(value)
            elif reading is Reading.OVERHEAR and isinstance(value, Message):
                gossip.append(value)
        # Before the questions: what was said first is known to their answers.
        await self._overhear(gossip)
        too_many += await self._post(posts)
        if incoming:
            faults.reached("posted")
        return too_many

    async def _look(self, incoming: Sequence[Incoming]) -> Collection[tuple[ConversationKey, str]]:
        """Rules come first: what they take away is neither answered nor remembered."""
        seen = [value for value in incoming if isinstance(value, Sighting | Arrival | Reacted)]
        return await self._looks(seen) if seen and self._looks is not None else ()

    async def _overhear(self, gossip: Sequence[Message]) -> None:
        if gossip and self._overheard is not None:
            await self._overheard.keep(gossip)

    async def _reading(self, value: Message | CommandCall) -> Reading:
        """Raises StorageError."""
        reading = decide_reading(value)
        if reading is Reading.IGNORE or self._hears is None or not (isinstance(value, Message) and value.space):
            return reading
        return await self._hears(value)

    def _guarded(self, value: Message | CommandCall) -> Message | CommandCall:
        """With what nobody may read sealed."""
        return guarded(BY_NAME.get(value.name), value, self._sealing) if isinstance(value, CommandCall) else value

    async def _tell(self, value: Deletion | Departure | Relocation) -> None:
        if isinstance(value, Deletion):
            await self._mailbox.forget(value)
        elif isinstance(value, Departure):
            space, gone = value.space, value.gone
            dropped = await self._mailbox.leave(value.conversation, chat=True, space=space, gone=gone)
            log.info("the bot can write no more", conversation=str(value.conversation), dropped=dropped)
            if self._spaces is not None and (space or not gone):
                where = value.conversation
                await self._spaces.left(where.platform, where.bot, space or where.chat)
        else:
            await self._mover.begin(value.conversation, value.to)
            if self._spaces is not None:
                await self._spaces.left(value.conversation.platform, value.conversation.bot, value.conversation.chat)

    async def _count(self, reaction: Reaction) -> None:
        if await self._feedback.vote(reaction):
            log.info("feedback", verdict=str(reaction.verdict), conversation=str(reaction.conversation))

    async def _post(self, posts: Sequence[Message | CommandCall]) -> list[Incoming]:
        too_many: list[Incoming] = []
        kept = [self._guarded(value) for value in posts]
        urgent = [value.id for value in posts if isinstance(value, CommandCall) and _is_urgent(value)]
        for value, posted in zip(posts, await self._mailbox.post(kept, urgent), strict=True):
            if isinstance(value, Message) and value.conversation.platform is Platform.DISCORD:
                # Only Discord forgets what was sent while the bot was away.
                await self._places.saw(value.conversation, value.id, value.space)
                if value.opens:
                    # It stands in the channel above, where the next one may be missed.
                    await self._places.saw(replace(value.conversation, chat=value.opens), value.id, value.space)
            elif value.conversation.platform is Platform.TELEGRAM:
                await self._feedback.came(value.conversation)
            if posted in (Posted.FULL, Posted.REFUSED):
                too_many.append(value)
            if posted is Posted.REFUSED:
                log.error("overloaded: not accepted", conversation=str(value.conversation), update=value.update)
            elif posted is Posted.SEEN:
                log.debug("seen before", update=value.update, conversation=str(value.conversation))
            # Also when it was seen before: the reply to the first time may have been lost.
            if self._worker is not None and posted is not Posted.HELD:
                self._worker.wake(Work(value.conversation, value.space))
        return too_many


def _stood_in(value: Message | CommandCall) -> ConversationKey:
    """Where the rules saw it: a question that opens a thread stands in the channel above."""
    opens = value.opens if isinstance(value, Message) else ""
    return replace(value.conversation, chat=opens) if opens else value.conversation


def _is_urgent(call: CommandCall) -> bool:
    row = BY_NAME.get(call.name)
    return row is not None and row.urgent
