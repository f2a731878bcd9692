"""Who is who: a person has one account on each platform, linked by themselves."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Mapping

from core.message import Author, Platform
from core.people.spaces import Allowance
from core.storage.client import Store
from core.storage.records import PAUSE_SECONDS, TRIES, Change, Conflict, Kept, Record, Records


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
    key_shares: bool = False
    """Whether the community's budget may be used where their own key fails."""
    tidied: str = ""
    """A digest of the last command that changed a fact: run again after a crash, its number would mean another one."""
    facts_in_groups: bool = False
    """Whether these are used for what they ask in groups, too, where others read the answers."""
    may_teach: bool = False
    """Whether their conversations may be used to train a model of the owner's: they agreed to it themselves."""
    is_out_of_mood: bool = False
    """Their messages are left out where communities count how people get on (``core/mood/counting.py``)."""
    allowance: Allowance = Allowance()
    """What the owner lets them spend in place of the configuration's budget for a person, field by field."""
    blocked: str = ""
    """Why the owner shut them out everywhere; empty: they are not."""
    was: tuple[str, ...] = ()
    """:func:`trace` of each account that was once linked with theirs: a block is not escaped by parting."""

    @property
    def known_accounts(self) -> tuple[str, ...]:
        return self.accounts or (self.id,)

    def is_or_was(self, account: str) -> bool:
        """Whether that account is theirs, or was while it was linked. For what shuts people out: who is shut out in a
        space stays so when they link accounts, and when they part them. What is given goes by
        :attr:`known_accounts` alone."""
        return account in self.known_accounts or trace(account) in self.was

    def is_shut_out(self, roles: Mapping[str, str]) -> bool:
        """Whether they are in a space with these roles (``SpaceSettings.roles``), by whatever account they write."""
        return any(role == "blocked" and self.is_or_was(account) for account, role in roles.items())


def trace(account: str) -> str:
    """What is kept of an account that somebody parted from: enough to know it again, and no name of it."""
    return hashlib.sha256(f"parted:{account}".encode()).hexdigest()[:16]


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
        return await self._follow(account, self.records.get)

    async def fresh(self, account: str) -> Kept[Person]:
        """The same as it is now. Raises StorageError."""
        return await self._follow(account, self.records.fresh)

    async def _follow(self, account: str, read: Callable[[str], Awaitable[Kept[Person]]]) -> Kept[Person]:
        found = await read(account)
        if found.value.goes_by:
            person = await read(found.value.goes_by)
            if account in person.value.accounts:
                return _named(person)
            return Kept(account, Person(id=account), found.version)
        return _named(found)

    async def change(self, account: str, change: Callable[[Person], Person], *, seen: int | None = None) -> Person:
        """Changes the person whose account that is, also while accounts are linked and parted. ``change`` may be called
        several times. Raises Conflict, StorageError."""
        for number in range(TRIES):
            before = await self.fresh(account)
            if seen is not None and before.version != seen:
                raise Conflict(f"{before.id}: version {before.version} instead of {seen}")
            value = change(before.value)
            if value == before.value:
                return value
            if (written := await self.records.write([Change(before, value)])) is not None:
                return written[0].value
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS * (number + 1)))
        raise Conflict(f"{account}: changed by others {TRIES} times in a row")


def _named(kept: Kept[Person]) -> Kept[Person]:
    return Kept(kept.id, _with_id(kept.value, kept.id), kept.version)


def _with_id(person: Person, id: str) -> Person:
    return person if person.id == id else person.model_copy(update={"id": id})
