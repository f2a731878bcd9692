"""The commands around a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from core.commands.row import SILENTLY, Room
from core.message import Deletion
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.texts import say

DONE = Finished(Ending.COMPLETE)


async def new(room: Room) -> AsyncIterator[Part]:
    await room.history.start_afresh(room.call.conversation)
    yield Notice("new")
    yield DONE


async def stop(room: Room) -> AsyncIterator[Part]:
    if SILENTLY in room.call.options:
        yield Finished(Ending.SILENT)
        return
    # The answer was stopped when the command came in; this tells whether there was one.
    yield Notice("stopped" if await room.mailbox.has_stopped(room.call) else "nothing_to_stop")
    yield DONE


async def forget(room: Room) -> AsyncIterator[Part]:
    # A slash command cannot be a reply: it takes the message's link, which ends with its id.
    message_id = room.call.reply_to or room.call.options.get("text", "").strip().rstrip("/").rpartition("/")[2]
    if not message_id:
        yield Notice("forget_how")
    elif not await room.is_theirs(message_id):
        yield Notice("not_theirs")
    else:
        deletion = Deletion(room.call.conversation, (message_id,), room.call.update)
        yield Notice("forgotten" if await room.mailbox.forget(deletion) else "forget_unknown")
    yield DONE


async def help(room: Room) -> AsyncIterator[Part]:
    lines: Sequence[str] = [
        f"- `/{row.name}` {row.summary(room.language)}"
        for row in room.rows
        if row.listed and (room.is_owner or not row.for_owner)
    ]
    yield TextDelta("\n".join((say("help_head", room.language), "", *lines)))
    yield DONE
