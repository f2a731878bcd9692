"""The commands around a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from core.access import Right
from core.commands.row import SILENTLY, Command, Room, Where
from core.errors import RightsUnknownError
from core.message import Deletion, Platform
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
    # The answer was stopped when the command came in; this tells whether there was one, and whether it was theirs.
    if await room.mailbox.has_stopped(room.call):
        yield Notice("stopped")
    else:
        yield Notice("not_theirs" if await room.mailbox.has_spared(room.call) else "nothing_to_stop")
    yield DONE


async def forget(room: Room) -> AsyncIterator[Part]:
    # A slash command cannot be a reply: it takes the message's link, which ends with its id.
    message_id = room.call.reply_to or room.words.rstrip("/").rpartition("/")[2]
    if not message_id:
        yield Notice("forget_how")
    elif not await room.is_theirs(message_id):
        yield Notice("not_theirs")
    else:
        deletion = Deletion(room.call.conversation, (message_id,), room.call.update)
        yield Notice("forgotten" if await room.mailbox.forget(deletion) else "forget_unknown")
    yield DONE


def _typed(room: Room, row: Command) -> str:
    """What the asker types for a command: on Discord its name in the language of their own app."""
    is_localised = room.call.conversation.platform is Platform.DISCORD
    return row.called(room.call.author.language) if is_localised else row.name


async def _holds(room: Room, right: Right) -> bool:
    try:
        return await room.may(right)
    except RightsUnknownError:
        return False


async def help(room: Room) -> AsyncIterator[Part]:
    held = {right for right in {row.right for row in room.rows} if right is None or await _holds(room, right)}
    lines: Sequence[str] = [
        f"- `/{_typed(room, row)}` {row.summary(room.language)}"
        for row in room.rows
        if row.listed and row.can_work(room.catalog) and row.right in held and (room.is_owner or not row.for_owner)
        # What is for groups is of no use here.
        if not (room.call.private and row.where is Where.GROUPS)
    ]
    yield TextDelta("\n".join((say("help_head", room.language), "", *lines)))
    yield DONE
