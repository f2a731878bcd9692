"""Films from words, and from a picture that they begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

from core.commands.pictures import pictures_of
from core.commands.row import Room
from core.commands.wishes import given
from core.creations.films import DONE, KIND, MAX_PROMPT, SHAPES, Scene
from core.message import AttachmentKind
from core.parts import Notice, Part
from core.texts import one_line

LONGEST_FOUND = 40
USUAL_SECONDS = 4


async def video(room: Room) -> AsyncIterator[Part]:
    """What the prompt says, beginning with the picture that came along or is replied to."""
    filmer, values = room.workshop.films.filmer, given(room)
    prompt, wanted = values.get("prompt", ""), values.get("seconds", "")
    refusal: Notice | None = None
    if not filmer.is_set_up:
        refusal = Notice("no_films")
    elif not prompt:
        refusal = Notice("film_how")
    elif len(prompt) > MAX_PROMPT:
        refusal = Notice("too_long", {"found": len(prompt), "allowed": MAX_PROMPT})
    lengths = filmer.lengths
    seconds = _seconds(wanted, lengths)
    if refusal is None and seconds is None:
        refusal = Notice("film_seconds", {"found": one_line(wanted, LONGEST_FOUND), "most": max(lengths, default=0)})
    shape = _shape(room, values.get("shape", ""))
    if refusal is None and not shape:
        refusal = Notice("film_shape", {"found": one_line(values["shape"], LONGEST_FOUND)})
    if refusal is None and filmer.model_for(seconds or 0, shape) is None:
        refusal = Notice("film_shape", {"found": one_line(shape, LONGEST_FOUND)})
    if refusal is not None:
        yield refusal
        yield DONE
        return
    inputs = await pictures_of(room) if _is_about_a_picture(room) else ()
    if isinstance(inputs, Notice):
        yield inputs
        yield DONE
        return
    scene = Scene(prompt, seconds or USUAL_SECONDS, shape)
    async with aclosing(room.workshop.creations.made(room.turn, KIND, scene.to_json(), inputs)) as parts:
        async for part in parts:
            yield part


def _seconds(wanted: str, lengths: tuple[int, ...]) -> int | None:
    """As long as a model makes them; None for what no model does."""
    if not wanted:
        return next(iter(lengths), None)
    if not (wanted.isascii() and wanted.isdecimal() and len(wanted) < 5) or not int(wanted):
        return None
    return next((length for length in lengths if length >= int(wanted)), None)


def _shape(room: Room, wanted: str) -> str:
    option = next((option for option in room.row.options if option.name == "shape"), None)
    for shape in SHAPES:
        words = {shape} if option is None else {shape, room.row.labelled(option, shape, room.language).casefold()}
        if wanted.casefold() in words:
            return shape
    return "" if wanted else SHAPES[0]


def _is_about_a_picture(room: Room) -> bool:
    return any(file.kind is AttachmentKind.IMAGE for file in room.call.attachments)
