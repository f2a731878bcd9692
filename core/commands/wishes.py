"""What people ask for of pictures, read from a call: options, words typed like ``size:wide``, and what came with it."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from core.access import Right
from core.commands.option import Kind, Option
from core.commands.row import TYPED, Room
from core.creations.pictures import DONE, KIND
from core.creations.wish import MAX_NEGATIVE, QUALITIES, STYLES, Wish
from core.message import clean_text
from core.models.images import LEAST_SIDE, MAX_COUNT, MAX_PROMPT, MAX_SEED, MOST_SIDE, size_of
from core.models.settings import SIZES
from core.parts import Notice, Part
from core.texts import one_line

NEW = "new"
"""A seed that is not the one before."""
LONGEST_FOUND = 40
"""Characters of a wrong value that are shown."""
_VALUE = r"[:=：＝](?:\"([^\"]*)\"|“([^”]*)”|「([^」]*)」|(\S+))"

Given = Mapping[str, str]
"""Values by the names of their options."""


def given(room: Room) -> dict[str, str]:
    """All that a call says. Of what was typed, words like ``seed:5`` are taken out, in English or the asker's language;
    the rest is the prompt."""
    row = room.row
    values = {name: clean_text(value) for name, value in room.call.options.items() if name != TYPED}
    typed = clean_text(room.call.options.get(TYPED, ""))
    takers = [option for option in row.options if option.kind is not Kind.FILE]
    names: dict[str, Option] = {}
    # A prompt may begin with any word, so it is never named.
    for option in (option for option in takers if option is not takers[0] or option.kind is not Kind.LONG):
        names |= {option.name.casefold(): option, row.named(option, room.language).casefold(): option}
    if typed and names:
        words = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
        pattern = re.compile(rf"(?<!\S)({words}){_VALUE}", re.IGNORECASE)
        for found in pattern.finditer(typed):
            value = next(part for part in found.groups()[1:] if part is not None)
            values.setdefault(names[found[1].casefold()].name, value)
        typed = pattern.sub("", typed).strip()
    if typed and takers:
        values.setdefault(takers[0].name, typed)
    return {name: value.strip() for name, value in values.items() if value.strip()}


async def changed(room: Room, wish: Wish, values: Given) -> Wish | Notice:
    """The wish with what a call gives in place of what was there, or the sentence that says what is wrong with it."""
    for name, value in values.items():
        found = _READERS[name](room, wish, value) if name in _READERS else wish
        if isinstance(found, Notice):
            return found
        wish = found
    if "model" in values and not await _may_choose(room):
        return Notice("lacking.choose-model")
    return wish


async def made(room: Room, wish: Wish, inputs: Sequence[bytes] = ()) -> AsyncGenerator[Part]:
    """Has it made, where there is a model that can: what was chosen by somebody else is made again with that model for
    those alone who may choose one. Raises StorageError."""
    if wish.model and not await _may_choose(room):
        wish = replace(wish, model="")
    wants = room.turn.preferences.buttons
    wish = replace(wish, buttons=room.buttons is not None and (room.buttons if wants is None else wants))
    if refusal := room.workshop.pictures.refusal(wish, inputs):
        yield refusal
        yield DONE
        return
    async with aclosing(room.workshop.creations.made(room.turn, KIND, wish.to_json(), inputs)) as parts:
        async for part in parts:
            yield part


async def _may_choose(room: Room) -> bool:
    return room.access is None or await room.access.has(room.turn, Right.CHOOSE_MODEL)


def _prompt(room: Room, wish: Wish, value: str) -> Wish | Notice:
    if len(value) > MAX_PROMPT:
        return Notice("too_long", {"found": len(value), "allowed": MAX_PROMPT})
    return replace(wish, prompt=value)


def _negative(room: Room, wish: Wish, value: str) -> Wish | Notice:
    if len(value) > MAX_NEGATIVE:
        return Notice("too_long", {"found": len(value), "allowed": MAX_NEGATIVE})
    return replace(wish, negative=value)


def _size(room: Room, wish: Wish, value: str) -> Wish | Notice:
    size = size_of(_chosen(room, "size", tuple(SIZES), value) or value)
    if size is None:
        return Notice("size_wrong", {"found": _shown(value), "least": str(LEAST_SIDE), "most": str(MOST_SIDE)})
    return replace(wish, size=size)


def _count(room: Room, wish: Wish, value: str) -> Wish | Notice:
    number = _whole(value)
    if number is None or not 1 <= number <= MAX_COUNT:
        return Notice("count_wrong", {"found": _shown(value), "most": str(MAX_COUNT)})
    return replace(wish, count=number)


def _style(room: Room, wish: Wish, value: str) -> Wish | Notice:
    style = _chosen(room, "style", tuple(STYLES), value)
    if not style:
        option = next((option for option in room.row.options if option.name == "style"), None)
        known = [room.row.labelled(option, each, room.language) for each in STYLES] if option else STYLES
        return Notice("style_wrong", {"found": _shown(value), "known": ", ".join(known)})
    return replace(wish, style=style)


def _seed(room: Room, wish: Wish, value: str) -> Wish | Notice:
    if value.casefold() == NEW:
        return replace(wish, seed=None).anew()
    number = _whole(value)
    if number is None or not 0 <= number <= MAX_SEED:
        return Notice("seed_wrong", {"found": _shown(value), "most": str(MAX_SEED)})
    return replace(wish, seed=number)


def _quality(room: Room, wish: Wish, value: str) -> Wish | Notice:
    quality = _chosen(room, "quality", QUALITIES, value)
    if not quality:
        return Notice("quality_wrong", {"found": _shown(value), "known": ", ".join(QUALITIES)})
    return replace(wish, quality=quality)


def _model(room: Room, wish: Wish, value: str) -> Wish:
    return replace(wish, model=value[:200])


_READERS: Mapping[str, Callable[[Room, Wish, str], Wish | Notice]] = {
    "prompt": _prompt,
    "negative": _negative,
    "size": _size,
    "count": _count,
    "style": _style,
    "seed": _seed,
    "quality": _quality,
    "model": _model,
}


def _chosen(room: Room, name: str, choices: Sequence[str], value: str) -> str:
    """The choice that is meant, by its own name or that of the asker's language; empty for none."""
    row, wanted = room.row, value.strip().casefold()
    option = next((option for option in row.options if option.name == name), None)
    for choice in choices:
        said = {choice} if option is None else {choice, row.labelled(option, choice, room.language).casefold()}
        if wanted in said:
            return choice
    return ""


def _whole(value: str) -> int | None:
    """Digits of any script are none that a model takes by accident: only ASCII's, and few."""
    return int(value) if re.fullmatch(r"-?[0-9]{1,12}", value.strip()) else None


def _shown(value: str) -> str:
    return one_line(value, LONGEST_FOUND)
