"""Where adapters hand over what came in. It returns once everything is in Redis."""

from __future__ import annotations

from collections.abc import Sequence

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

    async def accept(self, incoming: Sequence[Incoming]) -> None:
        """Makes the values durable in their order. Raises StorageError: then none may be acknowledged."""
        faults.reached("received")
        posts: list[Message | CommandCall] = []
        for value in incoming:
            if isinstance(value, Reaction):
                await self._count(value)
            elif isinstance(value, Deletion | Departure | Relocation):
                # In their order: what came before is told first.
                await self._post(posts)
                posts = []
                await self._tell(value)
            elif decide_reading(value) is Reading.ANSWER:
                posts.append(value)
        await self._post(posts)
        if incoming:
            faults.reached("posted")

    async def _tell(self, value: Deletion | Departure | Relocation) -> None:
        if isinstance(value, Deletion):
            await self._mailbox.forget(value)
        elif isinstance(value, Departure):
            dropped = await self._mailbox.leave(value.conversation, chat=True)
            log.info("the bot can write no more", conversation=str(value.conversation), dropped=dropped)
        else:
            await self._mover.begin(value.conversation, value.to)

    async def _count(self, reaction: Reaction) -> None:
        if await self._feedback.vote(reaction):
            log.info("feedback", verdict=str(reaction.verdict), conversation=str(reaction.conversation))

    async def _post(self, posts: Sequence[Message | CommandCall]) -> None:
        urgent = [value.id for value in posts if isinstance(value, CommandCall) and _is_urgent(value)]
        for value, posted in zip(posts, await self._mailbox.post(posts, urgent), strict=True):
            if isinstance(value, Message) and value.conversation.platform is Platform.DISCORD:
                # Only Discord forgets what was sent while the bot was away.
                await self._places.saw(value.conversation, value.id, value.space)
            elif value.conversation.platform is Platform.TELEGRAM:
                await self._feedback.came(value.conversation)
            if posted is Posted.REFUSED:
                log.error("overloaded: not accepted", conversation=str(value.conversation), update=value.update)
            elif posted is Posted.SEEN:
                log.debug("seen before", update=value.update, conversation=str(value.conversation))
            # Also when it was seen before: the reply to the first time may have been lost.
            if self._worker is not None and posted is not Posted.HELD:
                self._worker.wake(Work(value.conversation, value.space))


def _is_urgent(call: CommandCall) -> bool:
    row = BY_NAME.get(call.name)
    return row is not None and row.urgent
