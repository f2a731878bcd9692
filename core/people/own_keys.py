"""A person's own API keys at providers: what is asked with them costs the community nothing.

They lie sealed in the person's record, each for its owner and provider alone, and are opened when a turn begins. What
fails with such a key is told to its owner, and the community's money is spent in its place only where they chose so.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from core.people.identity import People, Person
from core.storage.sealing import SealedError, Sealing

log = structlog.get_logger()

TAIL = 4
"""Characters of a key that its owner is shown, where it is long enough that they tell nothing."""
LONG_ENOUGH = 20


def opened(person: Person, sealing: Sealing) -> Mapping[str, str]:
    """Provider -> key. Empty for one that cannot be opened: it is told, and nothing else pays in its place."""
    return {provider: _open(person, provider, sealed, sealing) for provider, sealed in person.keys.items()}


async def keep(people: People, account: str, provider: str, key: str, sealing: Sealing) -> None:
    """In place of what was there for the provider. Raises SealedError, Conflict, StorageError."""

    def change(person: Person) -> Person:
        sealed = sealing.seal(key, purpose(person.id, provider))
        return person.model_copy(update={"keys": {**person.keys, provider: sealed}})

    await people.change(account, change)


async def remove(people: People, account: str, provider: str) -> bool:
    """For good; whether there was one. Without a provider all of them. Raises Conflict, StorageError."""
    removed: list[str] = []

    def change(person: Person) -> Person:
        removed[:] = [name for name in person.keys if provider in ("", name)]
        kept = {name: sealed for name, sealed in person.keys.items() if name not in removed}
        return person.model_copy(update={"keys": kept}) if removed else person

    await people.change(account, change)
    return bool(removed)


def resealed(person: Person, sealing: Sealing) -> Person:
    """The same person with all that can be opened sealed for them alone, by the newest key."""
    fresh: dict[str, str] = {}
    for provider, sealed in person.keys.items():
        key = _open(person, provider, sealed, sealing)
        fresh[provider] = sealing.seal(key, purpose(person.id, provider)) if key and sealing.is_on else sealed
    return person.model_copy(update={"keys": fresh}) if fresh else person


async def reseal_all(people: People, sealing: Sealing) -> tuple[int, int]:
    """All people's keys, where an older key sealed them: for how many that was done, and of how many it could not be.
    Raises StorageError."""
    done = lost = 0
    for id in await people.records.ids():
        person = (await people.records.fresh(id)).value
        if all(map(sealing.is_newest, person.keys.values())):
            continue
        kept = await people.change(id, lambda person: resealed(person, sealing))
        done += kept.keys != person.keys
        lost += not all(map(sealing.is_newest, kept.keys.values()))
    return done, lost


def tail(key: str) -> str:
    """The end of a key, for its owner to know it by; empty where that would tell too much, or it cannot be opened."""
    return key[-TAIL:] if len(key) >= LONG_ENOUGH else ""


def purpose(owner: str, provider: str) -> str:
    """What a person's key is sealed for."""
    return f"key:{owner}:{provider}"


def _open(person: Person, provider: str, sealed: str, sealing: Sealing) -> str:
    failure: SealedError | None = None
    # A key that came along from a linked account was sealed for that one.
    for owner in dict.fromkeys((person.id, *person.known_accounts)):
        try:
            return sealing.open(sealed, purpose(owner, provider))
        except SealedError as error:
            failure = error
    log.warning("a person's own key cannot be opened", provider=provider, cause=str(failure))
    return ""
