"""Changes of a space's settings: each is written with its entry in the space's log, and the last can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.conversation.turn import Turn
from core.errors import ParleyError
from core.people import tidying
from core.people.community import Community
from core.people.identity import account_of
from core.people.spaces import SpaceSettings
from core.storage.audit import Entry, difference, read_entry, reverted
from core.storage.records import Change, Conflict, Kept, Logged

MOST_ENTRIES = 200
"""Changes that a space's log holds."""
LONGEST_NAME = 80
TRIES = 30


class NothingToUndo(ParleyError):
    """No change is known, or the last is of a kind that is not taken back like this."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change."""

    id: str
    """A ``Person.id``."""
    name: str

    @classmethod
    def of(cls, turn: Turn) -> Actor:
        author = turn.incoming.author
        return cls(turn.person.id or account_of(author, turn.conversation.platform), author.name)


async def change_space(
    community: Community,
    id: str,
    actor: Actor,
    change: Callable[[SpaceSettings], SpaceSettings],
    *,
    seen: int | None = None,
    undoable: bool = True,
    undone_in: str = "",
) -> Kept[SpaceSettings]:
    """Changes a space's settings (``core.people.spaces.space_id``) and logs who did, and what.

    ``change`` may be called several times, and gives back the same value to change nothing; what it raises is raised.
    With ``seen``, the version that somebody looked at, it raises Conflict where there has been a change since. Raises
    StorageError.
    """
    records = community.spaces.records
    for _ in range(TRIES):
        before = await records.fresh(id)
        if seen is not None and before.version != seen:
            raise Conflict(f"{id}: version {before.version} instead of {seen}")
        value = change(before.value)
        differences = difference(_fields(before.value), _fields(value))
        if not differences:
            return before
        entry = Entry(
            actor.id, actor.name[:LONGEST_NAME], before.version + 1, differences, undoable, undone_in=undone_in
        )
        logged = Logged(entry.to_json(), MOST_ENTRIES, community.settings.storage.audit_days * 86400)
        is_kept_otherwise = value.keep_days != before.value.keep_days
        if is_kept_otherwise:
            # Before, so that no crash leaves it out; after as well, should somebody have looked just between.
            await tidying.retain(community.store, id)
        if (written := await records.write([Change(before, value)], logged)) is not None:
            if is_kept_otherwise:
                await tidying.retain(community.store, id)
            return written[0]
    raise Conflict(f"{id}: changed by others {TRIES} times in a row")


async def undo(community: Community, id: str, actor: Actor, *, seen: int | None = None, turn: str = "") -> Entry:
    """Takes the last change back, by a change that is logged like any: undone again, it is made anew. What was undone.

    ``turn`` is the id of the turn that does it: begun anew after a crash, it takes nothing back a second time. Raises
    Conflict where somebody changed it since, NothingToUndo, StorageError.
    """
    last = await history(community, id, 2)
    if turn and len(last) == 2 and last[0].undone_in == turn:
        return last[1]
    if not last or not last[0].is_undoable:
        raise NothingToUndo(id)

    def back(value: SpaceSettings) -> SpaceSettings:
        fields = reverted(_fields(value), last[0].differences)
        if fields is None:
            raise Conflict(f"{id}: changed since its version {last[0].version}")
        return SpaceSettings.model_validate(fields)

    await change_space(community, id, actor, back, seen=seen, undone_in=turn)
    return last[0]


async def history(community: Community, id: str, most: int = MOST_ENTRIES) -> list[Entry]:
    """A space's changes, newest first. Raises StorageError."""
    rows = await community.spaces.records.log(id, most)
    return [entry for entry in (read_entry(at, text) for at, text in rows) if entry is not None]


def _fields(settings: SpaceSettings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude_defaults=True)
