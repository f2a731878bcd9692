"""The commands that choose for a conversation: all of it, its model, its language."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from core.access import Right
from core.commands import choosing
from core.commands.choosing import Offer
from core.commands.row import Room
from core.conversation.preferences import Preferences
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people.choices import chosen, keep
from core.people.spaces import space_id
from core.texts import ENGLISH, closest, languages

DONE = Finished(Ending.COMPLETE)
LONGEST_FOUND = 100
"""Characters of a wrong value that are said again."""


async def settings(room: Room) -> AsyncIterator[Part]:
    """Without a value the page; with a name and a value the choice of it."""
    name, _, value = room.words.partition(" ")
    offer = await _offer(room)
    if not await room.is_admin():
        yield Notice("admins_only")
    elif not name:
        text, menu = choosing.page(offer, _chosen(room), room.language)
        yield TextDelta(text)
        yield menu
    elif name.lower() == "model" and not (room.call.private or await room.may(Right.CHOOSE_MODEL)):
        yield Notice("lacking.choose-model")
    elif (kept := choosing.kept_value(name.lower(), value, offer, room.language)) is None:
        yield Notice("settings_unknown", {"found": f"{name} {value}".strip()[:LONGEST_FOUND]})
    else:
        await keep(room.history, room.community.people, room.call, name.lower(), kept)
        yield Notice("settings_set")
    yield DONE


async def model(room: Room) -> AsyncIterator[Part]:
    """Without a value which one it is and which there are."""
    wanted = room.words
    offer = await _offer(room)
    listed = ", ".join(offer.models)
    if not offer.models:
        yield Notice("no_allowed_models" if room.catalog.models else "no_models")
    elif not wanted:
        yield Notice("model_is", {"model": offer.model_of(_chosen(room)), "models": listed})
    elif not await room.is_admin():
        yield Notice("admins_only")
    elif not (room.call.private or await room.may(Right.CHOOSE_MODEL)):
        yield Notice("lacking.choose-model")
    elif (kept := choosing.kept_value("model", wanted, offer, room.language)) is None:
        yield Notice("model_unknown", {"found": wanted[:LONGEST_FOUND], "models": listed})
    else:
        await keep(room.history, room.community.people, room.call, "model", kept)
        yield Notice("model_set", {"model": kept or offer.model})
    yield DONE


async def language(room: Room) -> AsyncIterator[Part]:
    """Without a value which ones there are. The answer is in the language that was chosen."""
    wanted = room.words
    listed = ", ".join(f"{code} ({choosing.name_of(code)})" for code in languages())
    if not wanted:
        yield Notice("language_how", {"languages": listed})
    elif not await room.is_admin():
        yield Notice("admins_only")
    elif (kept := choosing.kept_value("language", wanted, await _offer(room), room.language)) is None:
        yield Notice("language_unknown", {"found": wanted[:LONGEST_FOUND], "languages": listed})
    else:
        await keep(room.history, room.community.people, room.call, "language", kept)
        room.turn.choose(language=kept)
        yield Notice("language_set", _named(kept or room.turn.incoming.author.language))
    yield DONE


def _named(code: str) -> Mapping[str, str | int]:
    return {"language": choosing.name_of(closest(code) or ENGLISH)}


async def _offer(room: Room) -> Offer:
    channels, space = choosing.is_channel(room.call), space_id(room.call.conversation, room.call.space)
    titles = await room.community.personas.titles(room.turn.person, space, room.language)
    return Offer.of(room.catalog, buttons=room.buttons, channels=channels, space=room.turn.space, personas=titles)


def _chosen(room: Room) -> Preferences:
    """What holds for all there; in a private chat that is what its one person chose."""
    return chosen(room.turn.preferences, room.turn.space, room.turn.person if room.call.private else None)
