"""How answers are sampled in a conversation: shown, changed, taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator

from core.commands.row import Room
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people import controls
from core.people.choices import model_of
from core.people.controls import Controls
from core.people.persona import PersonaError
from core.texts import say

DONE = Finished(Ending.COMPLETE)
RESET = "reset"


async def sampling(room: Room) -> AsyncIterator[Part]:
    """Without a value what holds; with a name and a value the choice of it; ``reset`` takes all of it back, or a name
    with ``auto`` that one."""
    name, value = room.value("name").lower(), room.value("value")
    kept = controls.read(room.turn.preferences.sampling)
    if not name:
        yield TextDelta(_page(room, kept))
        yield DONE
        return
    if not await room.is_admin():
        yield Notice("admins_only")
        yield DONE
        return
    try:
        wanted = controls.NONE if name == RESET else _changed(kept, name, value)
    except PersonaError as error:
        yield Notice(error.key, error.values)
        yield DONE
        return
    await room.history.choose(room.call.conversation, "sampling", controls.written(wanted))
    room.turn.choose(sampling=controls.written(wanted))
    lacking = sorted(set(wanted.values) & _lacks(room))
    if lacking:
        yield Notice("model_takes_no", {"model": _model(room), "names": ", ".join(lacking)})
    yield TextDelta(_page(room, wanted))
    yield DONE


def _changed(kept: Controls, name: str, value: str) -> Controls:
    if not value:
        raise PersonaError("sampling_how")
    return controls.changed(kept, name, "" if value.lower() == "auto" else value)


def _page(room: Room, chosen: Controls) -> str:
    """What is asked for here, by whose choice."""
    persona = Controls(room.turn.persona.sampling, room.turn.persona.max_tokens)
    lines = [
        f"- `{name}`: {_shown(value)}"
        + ("" if name in chosen.values else f" ({say('sampling_persona', room.language)})")
        for name, value in chosen.above(persona).values.items()
    ]
    head = say("sampling_head" if lines else "sampling_none", room.language)
    names = ", ".join(f"`{name}`" for name in controls.NAMES)
    return "\n".join((head, "", *lines, *([""] if lines else []), say("sampling_names", room.language, names=names)))


def _shown(value: object) -> str:
    """Stop words are what somebody typed: as code, which shows them as they are."""
    if isinstance(value, tuple):
        return " ".join(f"`{str(word).replace('`', chr(0x2CB))}`" for word in value)  # pyright: ignore
    return f"**{value}**"


def _model(room: Room) -> str:
    default = room.catalog.default
    names = [model.name for model in room.catalog.models]
    person = room.turn.person if room.call.private else None
    return model_of(names, default.name if default else "", room.turn.preferences, room.turn.space, person)


def _lacks(room: Room) -> frozenset[str]:
    model = room.catalog.find(_model(room))
    return frozenset(model.lacks) if model else frozenset()
