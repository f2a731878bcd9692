"""Where adapters hand over what came in. It returns once everything is in Redis."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from core import faults
from core.access import Reading, decide_reading
from core.commands.table import BY_NAME
from core.conversation.mailbox import Mailbox, Posted
from core.message import CommandCall, Deletion, Incoming, Message, Platform
from core.parts import Ending
from core.storage.shared import Places
from core.worker import Worker

log = structlog.get_logger()


class Inbox:
    """The receiving end of the engine, for every platform. ``worker`` is the one in this process, if there is one."""

    def __init__(self, mailbox: Mailbox, worker: Worker | None, places: Places) -> None:
        self._mailbox = mailbox
        self._worker = worker
        self._places = places

    async def accept(self, incoming: Sequence[Incoming]) -> None:
        """Makes the values durable in their order. Raises StorageError: then none may be acknowledged."""
        faults.reached("received")
        posts: list[Message | CommandCall] = []
        for value in incoming:
            if isinstance(value, Deletion):
                await self._post(posts)
                posts = []
                await self._forget(value)
            elif decide_reading(value) is Reading.ANSWER:
                posts.append(value)
        await self._post(posts)
        if incoming:
            faults.reached("posted")

    async def _post(self, posts: Sequence[Message | CommandCall]) -> None:
        for value, posted in zip(posts, await self._mailbox.post(posts), strict=True):
            if isinstance(value, Message) and value.conversation.platform is Platform.DISCORD:
                # Only Discord forgets what was sent while the bot was away.
                await self._places.saw(value.conversation, value.id)
            if posted is Posted.SEEN:
                log.debug("seen before", update=value.update, conversation=str(value.conversation))
                continue
            if isinstance(value, CommandCall) and _is_urgent(value):
                await self._stop(value)
            if isinstance(value, Message) and value.edited:
                self._supersede(value)
            if self._worker is not None:
                self._worker.wake(value.conversation)

    async def _stop(self, call: CommandCall) -> None:
        number = await self._mailbox.stop(call)
        if self._worker is not None:
            self._worker.interrupt(call.conversation, Ending.STOPPED, lambda turn: turn.number == number)

    def _supersede(self, edit: Message) -> None:
        """Ends the answer to an earlier form of the message, not the one to this."""
        if self._worker is not None:
            self._worker.interrupt(
                edit.conversation,
                Ending.SUPERSEDED,
                lambda turn: turn.incoming.id == edit.id and turn.incoming.update != edit.update,
            )

    async def _forget(self, deletion: Deletion) -> None:
        await self._mailbox.forget(deletion)
        if self._worker is not None:
            self._worker.interrupt(deletion.conversation, "forgotten", lambda turn: turn.incoming.id in deletion.ids)


def _is_urgent(call: CommandCall) -> bool:
    row = BY_NAME.get(call.name)
    return row is not None and row.urgent
