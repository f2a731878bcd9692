"""Pictures drawn from words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

from core.access import pseudonym
from core.commands.row import Room
from core.models.images import MAX_COUNT, MAX_PROMPT
from core.models.wire import ImageRequest
from core.parts import Ending, Finished, Notice, Part
from core.settings import SIZES, Shape


async def imagine(room: Room) -> AsyncIterator[Part]:
    """What the prompt says; without one, what the message says that it replies to or was chosen for."""
    call = room.call
    prompt = room.value("prompt") or (call.quote.text.strip() if call.quote else "")
    shape, count = room.value("size") or room.turn.space.image_size, room.value("count")
    if not room.workshop.painting.is_set_up:
        yield Notice("no_images")
    elif not prompt:
        yield Notice("imagine_how")
    elif len(prompt) > MAX_PROMPT:
        yield Notice("too_long", {"found": len(prompt), "allowed": MAX_PROMPT})
    else:
        request = ImageRequest(
            prompt,
            cast("Shape", shape) if shape in SIZES else "square",
            min(max(int(count), 1), MAX_COUNT) if count.isdecimal() else 1,
            pseudonym(call.author, call.conversation.platform),
        )
        async for part in room.workshop.painting.drawn(room.turn, request):
            yield part
        return
    yield Finished(Ending.COMPLETE)
