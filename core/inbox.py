"""Where adapters hand over what came in. It returns once everything is in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from core import faults
from core.access import Reading, decide_reading
from core.commands.table import BY_NAME
from core.conversation.mailbox import Mailbox, Posted
from core.conversation.moving import Mover
from core.conversation.turn import Work
from core.message import CommandCall, Deletion, Departure, Incoming, Message, Platform, Reaction, Relocation
from core.storage.feedback import Feedback
from core.storage.shared import Places
from core.worker import Worker

log = structlog.get_logger()


class Inbox:
    """The receiving end of the engine, for every platform.

    ``worker`` is the one in this process, if there is one: waking it directly saves the way through Redis.
    """

    def __init__(
        self, mailbox: Mailbox, worker: Worker | None, places: Places, mover: Mover, feedback: Feedback
    ) -> None:
        self._mailbox = mailbox
        self._worker = worker
        self._places = places
        self._mover = mover
        self._feedback = feedback

    async def accept(self, incoming: Sequence[Incoming]) -> Sequence[Incoming]:
        """Makes the values durable in their order. Raises StorageError: then none may be acknowledged.

        Tells which of them were too many: one notice stands for them, or not even that.
        """
        too_many: list[Incoming] = []
        faults.reached("received")
        posts: list[Message | CommandCall] = []
        for value in incoming:
            if isinstance(value, Reaction):
                await self._count(value)
            elif isinstance(value, Deletion | Departure | Relocation):
                # In their order: what came before is told first.
                too_many += await self._post(posts)
                posts = []
                await self._tell(value)
            elif decide_reading(value) is Reading.ANSWER:
                posts.append(value)
        too_many += await self._post(posts)
        if incoming:
            faults.reached("posted")
        return too_many

    async def _tell(self, value: Deletion | Departure | Relocation) -> None:
        if isinstance(value, Deletion):
            await self._mailbox.forget(value)
        elif isinstance(value, Departure):
            space, gone = value.space, value.gone
            dropped = await self._mailbox.leave(value.conversation, chat=True, space=space, gone=gone)
            log.info("the bot can write no more", conversation=str(value.conversation), dropped=dropped)
        else:
            await self._mover.begin(value.conversation, value.to)

    async def _count(self, reaction: Reaction) -> None:
        if await self._feedback.vote(reaction):
            log.info("feedback", verdict=str(reaction.verdict), conversation=str(reaction.conversation))

    async def _post(self, posts: Sequence[Message | CommandCall]) -> list[Incoming]:
        too_many: list[Incoming] = []
        urgent = [value.id for value in posts if isinstance(value, CommandCall) and _is_urgent(value)]
        for value, posted in zip(posts, await self._mailbox.post(posts, urgent), strict=True):
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


def _is_urgent(call: CommandCall) -> bool:
    row = BY_NAME.get(call.name)
    return row is not None and row.urgent
