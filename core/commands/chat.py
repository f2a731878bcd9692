"""The commands around a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from core.access import Right
from core.commands.memory import change
from core.commands.row import SILENTLY, Command, Room, Where
from core.errors import RightsUnknownError
from core.message import Deletion, Platform
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.texts import say

DONE = Finished(Ending.COMPLETE)


async def new(room: Room) -> AsyncIterator[Part]:
    await room.history.start_afresh(room.call.conversation)
    persona = room.turn.persona
    if persona.name != room.community.personas.usual.name and (opening := persona.opens(room.language)):
        yield TextDelta(opening)
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
    message_id = room.call.reply_to or room.value("message").rstrip("/").rpartition("/")[2]
    word, _, number = room.words.partition(" ")
    if fact := room.call.options.get("fact", "") or (number.strip() if word.lower() == "fact" else ""):
        yield await change(room.community.people, room.call, fact, None)
    elif not message_id:
        yield Notice("forget_how")
    elif not await room.is_theirs(message_id):
        yield Notice("not_theirs")
    else:
        deletion = Deletion(room.call.conversation, (message_id,), room.call.update)
        yield Notice("forgotten" if await room.mailbox.forget(deletion) else "forget_unknown")
    yield DONE


def typed_name(room: Room, row: Command) -> str:
    """What the asker types for a command: on Discord its name in the language of their own app."""
    is_localised = room.call.conversation.platform is Platform.DISCORD
    return row.called(room.call.author.language) if is_localised else row.name


async def usable(room: Room) -> list[Command]:
    """The rows that are of use to the asker where they are; of those with subcommands only where one of them is."""
    held = {right for right in {row.right for row in room.rows} if right is None or await _holds(room, right)}
    rows = [
        row
        for row in room.rows
        if row.listed and row.can_work(room.catalog) and row.right in held and (room.is_owner or not row.for_owner)
        # What is for groups is of no use here.
        if not (room.call.private and row.where is Where.GROUPS)
    ]
    with_some = {row.parent for row in rows}
    parents = {row.parent for row in room.rows}
    return [row for row in rows if row.name in with_some or row.name not in parents]


async def _holds(room: Room, right: Right) -> bool:
    try:
        return await room.may(right)
    except RightsUnknownError:
        return False


async def help(room: Room) -> AsyncIterator[Part]:
    rows = await usable(room)
    below: dict[str, list[str]] = {}
    for row in rows:
        below.setdefault(row.parent, []).append(typed_name(room, row).rpartition(" ")[2])
    lines: Sequence[str] = [
        f"- `/{typed_name(room, row)}` {row.summary(room.language)}"
        + (f" ({', '.join(below[row.name])})" if row.name in below else "")
        for row in rows
        if not row.parent
    ]
    yield TextDelta("\n".join((say("help_head", room.language), "", *lines)))
    yield DONE
