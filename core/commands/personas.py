"""The commands about personas. In a private chat they are about one's own; in a space about those that all there can
choose from, and for whoever may configure it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import fields

import structlog

from core.commands import choosing
from core.commands.row import Room
from core.errors import OutboundError
from core.models.chat import Sampling
from core.parts import Ending, Finished, Media, Menu, Notice, Part, TextDelta
from core.people.choices import keep
from core.people.persona import BOUNDS, Persona, PersonaError, checked_whole, sampled
from core.people.persona_files import LONGEST_FILE, from_toml, to_toml
from core.people.spaces import space_id
from core.texts import one_line, say

log = structlog.get_logger()

DONE = Finished(Ending.COMPLETE)
CHOOSE = "persona choose name="
TEXTS = ("instructions", "opening", "summary", "avatar", "model")
FIELDS = (*TEXTS, *BOUNDS, "stop")
"""What of a persona can be edited."""
LONGEST_FOUND = 60
Work = Callable[[Room], Awaitable[Notice]]


async def choose(room: Room) -> AsyncIterator[Part]:
    """Without a name those there are, with a button for each. Who was chosen says the opening line."""
    wanted, titles = room.value("name"), await _titles(room)
    name = "" if wanted.lower() in choosing.AUTOMATIC else choosing.find_persona(titles, wanted)
    if not wanted:
        for part in await _listed(room, titles):
            yield part
    elif not await room.is_admin():
        yield Notice("admins_only")
    elif name is None:
        yield _unknown(wanted)
    else:
        await keep(room.history, room.community.people, room.call, "persona", name)
        persona = await room.community.personas.find(name, room.turn.person, _space(room))
        persona = persona or room.community.personas.usual
        if opening := persona.opens(room.language):
            yield TextDelta(opening)
        yield Notice("persona_set", {"persona": _title(persona, room)})
    yield DONE


async def show(room: Room) -> AsyncIterator[Part]:
    """All of one; without a name of the one that answers here."""
    wanted = room.value("name")
    persona = await _found(room, wanted) if wanted else room.turn.persona
    if persona is None:
        yield _unknown(wanted)
    else:
        yield TextDelta("\n".join(_described(persona, room)))
    yield DONE


async def new(room: Room) -> AsyncIterator[Part]:
    yield await _changing(room, _new)
    yield DONE


async def edit(room: Room) -> AsyncIterator[Part]:
    yield await _changing(room, _edit)
    yield DONE


async def delete(room: Room) -> AsyncIterator[Part]:
    yield await _changing(room, _delete)
    yield DONE


async def share(room: Room) -> AsyncIterator[Part]:
    """A copy of one's own for a space: what becomes of the own one does not touch it any more."""
    yield await _changing(room, _share)
    yield DONE


async def import_file(room: Room) -> AsyncIterator[Part]:
    yield await _changing(room, _import)
    yield DONE


async def export(room: Room) -> AsyncIterator[Part]:
    wanted = room.value("name")
    persona = await _found(room, wanted) if wanted else room.turn.persona
    if persona is None:
        yield _unknown(wanted)
    else:
        stem = "".join(c for c in persona.name if c.isascii() and c.isalnum()).lower() or "persona"
        yield Media(f"{stem}.toml", "application/toml", to_toml(persona).encode())
    yield DONE


# ---- what is changed


async def _changing(room: Room, work: Work) -> Notice:
    """What came of a change, or why there was none."""
    if not await room.is_admin():
        return Notice("admins_only")
    try:
        return await work(room)
    except PersonaError as error:
        return Notice(error.key, {name: _shown(value) for name, value in error.values.items()})


async def _new(room: Room) -> Notice:
    persona = Persona(name=room.value("name"), instructions=room.value("instructions"))
    return await _put(room, persona)


async def _put(room: Room, persona: Persona, *, is_new: bool = True) -> Notice:
    persona = checked_whole(persona)
    if room.moderation and room.call.space and await room.moderation.members.are_called(room.call, persona.name):
        return Notice("persona_member", {"persona": one_line(persona.name, LONGEST_FOUND)})
    kept = await room.community.personas.put(_owners(room), persona, is_new=is_new)
    log.info("a persona was kept", owner=_owners(room)[0], by=room.turn.person.id)
    return Notice("persona_kept", {"persona": _title(kept, room)})


async def _edit(room: Room) -> Notice:
    field, value = room.value("field").lower(), room.value("value")
    if field not in FIELDS:
        raise PersonaError("persona_no_value", field=field)
    value = "" if value.lower() in choosing.AUTOMATIC else value
    if field == "model" and value:
        found = choosing.find_model((model.name for model in room.catalog.models), value)
        if found is None:
            return Notice("model_unknown", _named_models(room, value))
        value = found

    def changed(persona: Persona) -> Persona:
        return persona.model_copy(update={field: value}) if field in TEXTS else sampled(persona, field, value)

    kept = await room.community.personas.change(_owners(room), room.value("name"), changed)
    return Notice("persona_kept", {"persona": _title(kept, room)}) if kept else _unknown(room.value("name"))


async def _delete(room: Room) -> Notice:
    name = room.value("name")
    if await room.community.personas.remove(_owners(room), name):
        return Notice("persona_gone", {"persona": one_line(name, LONGEST_FOUND)})
    return _unknown(name)


async def _share(room: Room) -> Notice:
    persona = await room.community.personas.own(room.value("name"), room.turn.person)
    return _unknown(room.value("name")) if persona is None else await _put(room, persona, is_new=False)


async def _import(room: Room) -> Notice:
    if not room.call.attachments or room.fetch is None:
        return Notice("persona_file_how")
    try:
        data = await room.fetch(room.call.attachments[0], LONGEST_FILE)
    except OutboundError as error:
        log.info("a persona's file could not be had", cause=error.detail)
        return Notice("persona_file_long", {"count": LONGEST_FILE // 1024})
    return await _put(room, from_toml(data))


# ---- what is shown


async def _listed(room: Room, titles: tuple[tuple[str, str], ...]) -> tuple[Part, ...]:
    current, language = room.turn.persona.name, room.language
    offered = {p.name: p for p in await room.community.personas.offered(room.turn.person, _space(room))}
    lines = [say("persona_head", language), ""]
    for name, title in titles:
        said = one_line(offered[name].summary_in(language), LONGEST_FOUND * 2) if name in offered else ""
        mark = "✓ " if name == current else ""
        lines.append(f"- {mark}**{one_line(title, LONGEST_FOUND)}**" + (f": {said}" if said else ""))
    if not await room.is_admin():
        return (TextDelta("\n".join(lines)),)
    offer = choosing.Offer((), "", None, speaks=False, personas=titles)
    rows = choosing.list_personas(offer, current, CHOOSE, language)
    return TextDelta("\n".join(lines)), Menu(rows, say("persona_how", language))


def _described(persona: Persona, room: Room) -> list[str]:
    values = {field.name: getattr(persona.sampling, field.name) for field in fields(Sampling)}
    values |= {
        "stop": " | ".join(persona.sampling.stop),
        "max_tokens": persona.max_tokens,
        "model": persona.model,
        "avatar": persona.avatar,
    }
    lines = [f"**{_title(persona, room)}**"]
    if summary := persona.summary_in(room.language):
        lines.append(one_line(summary, LONGEST_FOUND * 4))
    lines += ["", *(f"> {line}" for line in persona.instructions.splitlines())]
    if opening := persona.opens(room.language):
        lines += ["", f"- `opening`: {one_line(opening, LONGEST_FOUND * 4)}"]
    lines += [f"- `{name}`: {_plain(value)}" for name, value in values.items() if value not in (None, "")]
    return lines


def _plain(value: object) -> str:
    """Without anything that means something in Markdown."""
    return "`" + str(value).replace("`", "'").replace("\n", " ") + "`"


def _shown(value: str | int) -> str | int:
    """Part of a sentence, perhaps within backticks."""
    return one_line(value.replace("`", "'"), LONGEST_FOUND) if isinstance(value, str) else value


def _title(persona: Persona, room: Room) -> str:
    return one_line(persona.called(room.language), LONGEST_FOUND)


def _unknown(wanted: str) -> Notice:
    return Notice("persona_unknown", {"found": one_line(wanted, LONGEST_FOUND)})


def _named_models(room: Room, wanted: str) -> dict[str, str]:
    models = ", ".join(model.name for model in room.catalog.models)
    return {"found": one_line(wanted, LONGEST_FOUND), "models": models}


async def _titles(room: Room) -> tuple[tuple[str, str], ...]:
    return await room.community.personas.titles(room.turn.person, _space(room), room.language)


async def _found(room: Room, name: str) -> Persona | None:
    return await room.community.personas.find(name, room.turn.person, _space(room))


def _space(room: Room) -> str:
    return space_id(room.call.conversation, room.call.space)


def _owners(room: Room) -> tuple[str, ...]:
    """Whose personas these are: the space's, or those of all accounts of the person."""
    person = room.turn.person
    if space := _space(room):
        return (space,)
    return (person.id, *(account for account in person.known_accounts if account != person.id))
