"""Who is who: a person has one account on each platform, linked by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.message import Author, Platform
from core.storage.client import Store
from core.storage.records import Kept, Record, Records


class Fact(Record):
    """Something that a person asked to keep in mind."""

    text: str
    at: float = 0.0
    """Unix seconds."""


class Person(Record):
    """One human. Who never chose anything has no record, and is known by their account alone."""

    id: str = ""
    """That of the account that the record began with, as ``platform:account id``."""
    goes_by: str = ""
    """This account was linked: the person that it belongs to. All else here is empty then."""
    accounts: tuple[str, ...] = ()
    """All their accounts, the first is :attr:`id`. Empty: that one alone."""
    language: str = ""
    """What they chose that Parley itself speaks to them, on every platform; one of ``core.texts.languages``."""
    model: str = ""
    persona: str = ""
    """Name of a persona."""
    facts: tuple[Fact, ...] = ()
    """What they asked to keep in mind, oldest first."""
    keys: Mapping[str, str] = {}
    """Provider -> their own API key, sealed (``core/storage/sealing.py``)."""
    blocked: str = ""
    """Why the owner shut them out everywhere; empty: they are not."""

    @property
    def known_accounts(self) -> tuple[str, ...]:
        return self.accounts or (self.id,)


def account_of(author: Author, platform: Platform) -> str:
    """An account's name among those of all platforms."""
    return f"{platform}:{author.id}"


class People:
    """All people, by their accounts."""

    def __init__(self, store: Store) -> None:
        self.records = Records(store, "people", Person())

    async def of(self, account: str) -> Person:
        """Whose account that is (``platform:account id``), as this process knows it. Raises StorageError."""
        return (await self.kept(account)).value

    async def kept(self, account: str) -> Kept[Person]:
        """The same with its version. An account that was linked counts only while its person says so, too."""
        found = await self.records.get(account)
        if found.value.goes_by:
            person = await self.records.get(found.value.goes_by)
            if account in person.value.accounts:
                return _named(person)
            return Kept(account, Person(id=account))
        return _named(found)

    async def change(self, account: str, change: Callable[[Person], Person], *, seen: int | None = None) -> Person:
        """Changes the person whose account that is. Raises Conflict, StorageError."""
        id = (await self.kept(account)).id
        return (await self.records.change(id, lambda person: change(_with_id(person, id)), seen=seen)).value


def _named(kept: Kept[Person]) -> Kept[Person]:
    return Kept(kept.id, _with_id(kept.value, kept.id), kept.version)


def _with_id(person: Person, id: str) -> Person:
    return person if person.id == id else person.model_copy(update={"id": id})
