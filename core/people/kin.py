"""Whose strikes count together: one person's, in a space and in those that it has joined with."""

from __future__ import annotations

from collections.abc import Sequence

from core.people.identity import People
from core.people.spaces import Spaces

Kin = Sequence[tuple[str, str]]
"""Spaces (``core.people.spaces.space_id``), each with an account of the person on its platform."""


async def kin(people: People, spaces: Spaces, place: str, account: str) -> Kin:
    """That account first. Of other spaces those count that name this one, too: administrators of both want it so.
    Nothing tells moderators which accounts are one person's. Raises StorageError."""
    found = [(place, account)]
    joined = (await spaces.of(place)).joined
    if not joined:
        return found
    person = await people.of(f"{place.partition(':')[0]}:{account}")
    for other in dict.fromkeys(joined):
        if other == place or place not in (await spaces.of(other)).joined:
            continue
        known = (one.partition(":") for one in person.known_accounts)
        found += [(other, id) for platform, _, id in known if platform == other.partition(":")[0]]
    return found
