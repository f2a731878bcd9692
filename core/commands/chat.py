"""The commands around a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from core.commands.row import Room
from core.message import Deletion
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.texts import say

DONE = Finished(Ending.COMPLETE)


async def new(room: Room) -> AsyncIterator[Part]:
    await room.history.start_afresh(room.call.conversation)
    yield Notice("new")
    yield DONE


async def stop(room: Room) -> AsyncIterator[Part]:
    # The answer was stopped when the command came in; this tells whether there was one.
    yield Notice("stopped" if await room.mailbox.has_stopped(room.call) else "nothing_to_stop")
    yield DONE


async def model(room: Room) -> AsyncIterator[Part]:
    names = [row.name for row in room.catalog.models]
    wanted = room.call.options.get("text", "").strip()
    listed = ", ".join(names)
    found = next((name for name in names if name.lower() == wanted.lower()), None)
    if not names:
        yield Notice("no_models")
    elif not wanted:
        current = room.catalog.choose(room.turn.model)
        yield Notice("model_is", {"model": current.name if current else "", "models": listed})
    elif found is None:
        yield Notice("model_unknown", {"found": wanted[:100], "models": listed})
    else:
        await room.history.choose_model(room.call.conversation, found)
        yield Notice("model_set", {"model": found})
    yield DONE


async def forget(room: Room) -> AsyncIterator[Part]:
    # A slash command cannot be a reply: it takes the message's link, which ends with its id.
    message_id = room.call.reply_to or room.call.options.get("text", "").strip().rstrip("/").rpartition("/")[2]
    if not message_id:
        yield Notice("forget_how")
    else:
        deletion = Deletion(room.call.conversation, (message_id,), room.call.update)
        yield Notice("forgotten" if await room.mailbox.forget(deletion) else "forget_unknown")
    yield DONE


async def start(room: Room) -> AsyncIterator[Part]:
    yield Notice("welcome")
    yield DONE


async def help(room: Room) -> AsyncIterator[Part]:
    chinese = room.language.lower().startswith("zh")
    lines: Sequence[str] = [
        f"- `/{row.name}` {row.summary_zh if chinese else row.summary}"
        for row in room.rows
        if row.listed and (room.is_owner or not row.for_owner)
    ]
    yield TextDelta("\n".join((say("help_head", room.language), "", *lines)))
    yield DONE
