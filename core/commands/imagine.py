"""Pictures drawn from words, and pictures of ours made again with something changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from core.commands.pictures import former_of, inputs_of
from core.commands.row import Room
from core.commands.wishes import NEW, changed, given, made
from core.creations.pictures import DONE
from core.creations.wish import Wish
from core.models.images import MAX_PROMPT
from core.parts import Notice, Part


async def imagine(room: Room) -> AsyncIterator[Part]:
    """What the prompt says. Without one: our own picture that is replied to, or that the button stands under, again
    with what is given in place of what was; else what the message says that it is about."""
    found = await _meant(room) if room.workshop.pictures.is_set_up else Notice("no_images")
    if isinstance(found, Notice):
        yield found
        yield DONE
        return
    async with aclosing(made(room, *found)) as parts:
        async for part in parts:
            yield part


async def _meant(room: Room) -> tuple[Wish, Sequence[bytes]] | Notice:
    values = given(room)
    former = None if values.get("prompt") else await former_of(room)
    if former is not None:
        inputs = await inputs_of(room, former)
        # Without any change it is another picture, too.
        wish = await changed(room, former.wish, values or {"seed": NEW})
        return wish if isinstance(wish, Notice) else inputs if isinstance(inputs, Notice) else (wish, inputs)
    quoted = room.call.quote.text.strip() if room.call.quote else ""
    if len(quoted) > MAX_PROMPT:
        return Notice("too_long", {"found": len(quoted), "allowed": MAX_PROMPT})
    wish = await changed(room, Wish(quoted, size=room.turn.space.image_size).anew(), values)
    if isinstance(wish, Notice):
        return wish
    if not wish.prompt:
        return Notice("picture_forgotten" if room.call.reply_to else "imagine_how")
    return wish, ()
