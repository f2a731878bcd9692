"""All personas: those that come with Parley (``core/personas``), those that people made for themselves, and those that
administrators share in a space. What a persona's instructions say is text for a model: it gives nobody a right.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from core.people.identity import Person
from core.people.naming import looks
from core.people.persona import Persona, PersonaError, checked_whole, names_of
from core.people.persona_files import read
from core.people.spaces import space_id
from core.storage.client import Store
from core.storage.records import Record, Records

if TYPE_CHECKING:
    from core.conversation.turn import Turn

FOLDER = Path(__file__).parent.parent / "personas"
MOST = 20
"""Personas of one person, and of one space."""
USUAL = "assistant"
"""The persona where nobody chose one; what it is told stands in the setting ``chat.persona``."""


class Shelf(Record):
    """The personas of one person or of one space."""

    personas: tuple[Persona, ...] = ()


@cache
def shipped() -> Mapping[str, Persona]:
    """Those that come with Parley, by their names: read once, at the first use."""
    found = [read(tomllib.loads(file.read_text("utf-8"))) for file in sorted(FOLDER.glob("*.toml"))]
    found.sort(key=lambda persona: persona.name != USUAL)
    return {persona.name: persona for persona in found}


class Personas:
    """All that there are."""

    def __init__(self, store: Store, instructions: str) -> None:
        """``instructions`` is the setting ``chat.persona``: what the assistant is told, or a shipped one's name."""
        self.records = Records(store, "personas", Shelf())
        self.instructions = instructions

    @property
    def usual(self) -> Persona:
        """Where nobody chose one."""
        named = shipped().get(self.instructions)
        return named or shipped()[USUAL].model_copy(update={"instructions": self.instructions})

    async def of(self, turn: Turn) -> tuple[Persona, bool]:
        """Who answers a turn: whom the conversation chose, else the space, else the person; and whether it was chosen
        for all who are there. Raises StorageError."""
        space = space_id(turn.incoming.conversation, turn.incoming.space)
        for name in (turn.preferences.persona, turn.space.persona if space else ""):
            if name and (found := await self.find(name, turn.person, space)) is not None:
                return found, True
        if turn.person.persona and (found := await self.find(turn.person.persona, turn.person, "")) is not None:
            return found, False
        return self.usual, False

    async def offered(self, person: Person, space: str) -> tuple[Persona, ...]:
        """Those to choose from: in a space (:func:`space_id`) its own, elsewhere the person's; then those that come
        with Parley. Raises StorageError."""
        owners = (space,) if space else person.known_accounts
        own = [persona for owner in owners if owner for persona in (await self.records.get(owner)).value.personas]
        given = {**shipped(), USUAL: self.usual} if self.usual.name == USUAL else shipped()
        return (*own, *given.values())

    async def titles(self, person: Person, space: str, language: str) -> tuple[tuple[str, str], ...]:
        """Names of :meth:`offered` with what they are shown as, first that of :attr:`usual`. Raises StorageError."""
        usual = self.usual
        others = [p for p in await self.offered(person, space) if p.name != usual.name]
        return tuple((p.name, p.called(language)) for p in (usual, *others))

    async def find(self, name: str, person: Person, space: str) -> Persona | None:
        """That of :meth:`offered` which people call so, in whichever language. Raises StorageError."""
        wanted = looks(name)
        offered = await self.offered(person, space)
        return next((p for p in offered if wanted and wanted in names_of(p)), None)

    async def own(self, name: str, person: Person) -> Persona | None:
        """One that a person made. Raises StorageError."""
        found = await self.find(name, person, "")
        return None if found is None or found.name in shipped() else found

    async def put(self, owners: Sequence[str], persona: Persona, *, is_new: bool) -> Persona:
        """Keeps one for a person (by their accounts, first the one that new ones are kept with) or a space, in place of
        the one of that name unless it ``is_new``.

        Raises PersonaError, Conflict, StorageError.
        """
        kept = checked_whole(persona)
        if any(looks(kept.name) in names_of(other) for other in shipped().values()):
            raise PersonaError("persona_taken", name=kept.name)
        owner = await self._holder(owners, kept.name)
        if is_new and owner:
            raise PersonaError("persona_taken", name=kept.name)

        def change(shelf: Shelf) -> Shelf:
            rest = _without(shelf, kept.name).personas
            is_there = len(rest) < len(shelf.personas)
            if is_new and is_there:
                raise PersonaError("persona_taken", name=kept.name)
            if not is_there and len(rest) >= MOST:
                raise PersonaError("persona_many", count=MOST)
            return shelf.model_copy(update={"personas": (*rest, kept)})

        await self.records.change(owner or owners[0], change)
        return kept

    async def change(self, owners: Sequence[str], name: str, change: Callable[[Persona], Persona]) -> Persona | None:
        """Changes one that an owner has, all but its name; None: no owner has it. ``change`` may be called several
        times. Raises PersonaError, Conflict, StorageError."""
        owner = await self._holder(owners, name)
        if not owner:
            return None

        def on(shelf: Shelf) -> Shelf:
            changed = tuple(checked_whole(change(p)) if looks(p.name) == looks(name) else p for p in shelf.personas)
            return shelf.model_copy(update={"personas": changed})

        kept = (await self.records.change(owner, on)).value
        return next((p for p in kept.personas if looks(p.name) == looks(name)), None)

    async def remove(self, owners: Sequence[str], name: str) -> bool:
        """Takes one away from whichever of the owners has it; False: none has. Raises Conflict, StorageError."""
        owner = await self._holder(owners, name)
        if owner:
            await self.records.change(owner, lambda shelf: _without(shelf, name))
        return bool(owner)

    async def _holder(self, owners: Sequence[str], name: str) -> str:
        for owner in owners:
            if len(_without(shelf := (await self.records.fresh(owner)).value, name).personas) < len(shelf.personas):
                return owner
        return ""


def _without(shelf: Shelf, name: str) -> Shelf:
    return shelf.model_copy(update={"personas": tuple(p for p in shelf.personas if looks(p.name) != looks(name))})
