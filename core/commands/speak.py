"""An answer as sound."""

from __future__ import annotations

from collections.abc import AsyncIterator

from core.commands.row import Room
from core.parts import Ending, Finished, Notice, Part


async def speak(room: Room) -> AsyncIterator[Part]:
    """The answer replied to, or that the button stands under; else the newest."""
    if not room.workshop.speaking.is_set_up:
        yield Notice("no_speech")
    elif text := await room.workshop.speaking.text_of(room.call.conversation, room.call.reply_to):
        async for part in room.workshop.speaking.aloud(room.turn, text):
            yield part
        return
    else:
        yield Notice("speak_how")
    yield Finished(Ending.COMPLETE)
