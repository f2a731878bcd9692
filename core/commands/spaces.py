"""The administrators' commands for the settings of their space: the menu, a single one, the log, files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import tzinfo
from typing import Any

from core.access import Right
from core.commands import space_pages
from core.commands.row import Room
from core.commands.space_pages import IMPORT, SPACE
from core.errors import OutboundError
from core.message import CommandCall, Platform
from core.models.catalog import Catalog
from core.parts import Choice, Ending, Finished, Media, Menu, Notice, Part, TextDelta
from core.people import changing, fields, transfer
from core.people.changing import Actor, NothingToUndo, change_space
from core.people.community import Community
from core.people.fields import BY_NAME, Field, Refused, Terms
from core.people.hearing import channels_of, zone_of
from core.people.identity import Person
from core.people.spaces import SpaceSettings, space_id
from core.storage.proposals import Proposals
from core.storage.records import Conflict, Kept
from core.texts import one_line, say

DONE = Finished(Ending.COMPLETE)
LONGEST_FOUND = 60
SEEN = "seen"
"""An option of calls that a form of the menu completes: the version of the settings that its page showed."""


async def terms_of(community: Community, catalog: Catalog, call: CommandCall, person: Person, language: str) -> Terms:
    """What values are read and shown by where a call was made. Raises StorageError."""
    space = space_id(call.conversation, call.space)
    on_discord = call.conversation.platform is Platform.DISCORD
    return Terms(
        models=tuple(model.name for model in catalog.models),
        personas=tuple(persona.name for persona in await community.personas.offered(person, space)),
        tools=community.settings.tool_names,
        currency=community.settings.chat.currency,
        language=language,
        channel=channels_of(call)[0],
        mention=(lambda channel: f"<#{channel}>") if on_discord else Terms().mention,
    )


def zone_in(community: Community, settings: SpaceSettings) -> tzinfo:
    """The zone that a space's times are told in."""
    return zone_of(settings.time_zone or community.settings.chat.time_zone)


async def settings(room: Room) -> AsyncIterator[Part]:
    """Without a field the menu, without a value the field's page."""
    name, value = room.value("field").lower(), room.value("value")
    terms = await _terms(room)
    kept = await room.community.spaces.records.fresh(_space(room))
    field = BY_NAME.get(name)
    if name and field is None:
        yield Notice("space_unknown", {"found": one_line(name, LONGEST_FOUND), "names": ", ".join(BY_NAME)})
    elif field is None or not value:
        text, rows = space_pages.page(field, kept, terms) if field else space_pages.front(kept, terms)
        yield TextDelta(text)
        yield Menu(rows, say("space_how", room.language, names=", ".join(f"`{one}`" for one in BY_NAME)))
    else:
        try:
            chosen = fields.parse(field, value, terms)
            await _set(room, field, chosen, kept)
        except Refused as refused:
            yield Notice(refused.key, refused.values)
        except Conflict:
            yield Notice("conflict")
        else:
            shown = {"field": field.called(room.language), "value": fields.show(field, chosen, terms)}
            yield Notice("space_set", shown)
    yield DONE


async def _set(room: Room, field: Field, chosen: Any, kept: Kept[SpaceSettings]) -> None:
    """Raises Conflict where the field is not any more as it was when this turn, or the form that it is from, began."""
    seen, before = room.call.options.get(SEEN, ""), fields.get(kept.value, field)
    if seen not in ("", str(kept.version)) and before != chosen:
        raise Conflict(f"{kept.id}: version {kept.version} instead of {seen}")

    def change(space: SpaceSettings) -> SpaceSettings:
        if fields.get(space, field) not in (chosen, before):
            raise Conflict(f"{kept.id}: {field.name} was changed meanwhile")
        return fields.put(space, field, chosen)

    await change_space(room.community, kept.id, Actor.of(room.turn), change)


async def undo(room: Room) -> AsyncIterator[Part]:
    """Takes the last change back."""
    try:
        entry = await changing.undo(room.community, _space(room), Actor.of(room.turn), turn=room.turn.id)
    except NothingToUndo:
        yield Notice("space_undo_none")
    except Conflict:
        yield Notice("conflict")
    else:
        kept = await room.community.spaces.records.get(_space(room))
        told = space_pages.told(entry, await _terms(room), zone_in(room.community, kept.value))
        yield Notice("space_undone", {"change": told})
    yield DONE


async def log(room: Room) -> AsyncIterator[Part]:
    """Who changed what."""
    entries = await changing.history(room.community, _space(room), space_pages.LOGGED)
    kept = await room.community.spaces.records.get(_space(room))
    text, _ = space_pages.log(entries, kept, await _terms(room), zone_in(room.community, kept.value))
    yield TextDelta(text)
    yield DONE


async def export(room: Room) -> AsyncIterator[Part]:
    """The settings as a file."""
    kept = await room.community.spaces.records.fresh(_space(room))
    yield Notice("space_exported")
    yield Media("settings.toml", transfer.MIME, transfer.written(kept.value, kept.id))
    yield DONE


async def import_file(room: Room) -> AsyncIterator[Part]:
    """What a file would change, and the button that does it."""
    try:
        data = await _file(room)
        terms = await _terms(room)
        wanted = transfer.read(data, terms)
    except Refused as refused:
        yield Notice(refused.key, refused.values)
        yield DONE
        return
    kept = await room.community.spaces.records.fresh(_space(room))
    steps = transfer.steps(kept.value, wanted)
    if not steps:
        yield Notice("import_same")
    else:
        id = await Proposals(room.community.store).keep(kept.id, data.decode())
        yield TextDelta("\n".join((say("import_head", room.language), "", space_pages.compared(steps, terms))))
        apply = Choice(say("button.apply", room.language), f"{SPACE} {kept.version} !{IMPORT} {id}")
        cancel = Choice(say("button.close", room.language), space_pages.CLOSE)
        yield Menu(((apply, cancel),), say("import_menus", room.language))
    yield DONE


async def _file(room: Room) -> bytes:
    files = [file for file in room.call.attachments if not file.quoted] or room.call.attachments
    if not files or room.fetch is None:
        raise Refused("import_none")
    if files[0].size > transfer.MOST_BYTES:
        raise Refused("import_large", most=transfer.MOST_BYTES // 1024)
    try:
        return await room.fetch(files[0], transfer.MOST_BYTES)
    except OutboundError:
        # Larger than it said, or gone: whatever it is, sending it again may help.
        raise Refused("import_gone", most=transfer.MOST_BYTES // 1024) from None


async def _terms(room: Room) -> Terms:
    return await terms_of(room.community, room.catalog, room.call, room.turn.person, room.language)


def _space(room: Room) -> str:
    return space_id(room.call.conversation, room.call.space)


RIGHT = Right.CONFIGURE
"""What all of these ask for, and the menu again with every press."""
