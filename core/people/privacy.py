"""Everything that is kept about a person, in one table: told, exported and erased from there.

Whoever keeps something new of a person adds a source to ``core/people/sources.py``.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from core.people.identity import Person


@dataclass(frozen=True)
class Subject:
    """Whose data it is."""

    person: str
    """Id of the person."""
    accounts: tuple[str, ...]
    """All their accounts, as ``platform:account id``."""
    alias: str = ""
    """What they are called from now on in what cannot be removed; tells nothing of them."""

    @classmethod
    def of(cls, person: Person, account: str, alias: str = "") -> Subject:
        """``account`` is the one that asks: it belongs to them, whatever the record says."""
        known = filter(None, (person.id, *person.known_accounts, account))
        return cls(person.id or account, tuple(dict.fromkeys(known)), alias)

    def ids(self, platform: str) -> frozenset[str]:
        """Their account ids on a platform."""
        named = (account.partition(":") for account in self.accounts)
        return frozenset(id for where, _, id in named if where == platform)

    def is_named(self, text: str) -> bool:
        """Whether one of their account ids stands in a text by itself, not as a part of another id."""
        return self._names.search(text) is not None

    @cached_property
    def _names(self) -> re.Pattern[str]:
        ids = sorted({account.partition(":")[2] for account in self.accounts})
        return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, ids))})(?!\w)")


@dataclass(frozen=True, slots=True)
class File:
    """A piece of an export."""

    path: str
    """Within the archive, with ``/`` between folders."""
    data: bytes


class Source(Protocol):
    """A kind of things that are kept about people. Every method raises StorageError.

    ``erase`` may be broken off at any moment and is then called again.
    """

    @property
    def name(self) -> str:
        """What it is said to be: the sentence ``privacy.NAME`` takes the count."""
        ...

    async def count(self, subject: Subject) -> int:
        """How many there are."""
        ...

    def export(self, subject: Subject) -> AsyncIterator[File]:
        """What there is of the person, and of nobody else, in a form that people can read."""
        ...

    async def erase(self, subject: Subject) -> None:
        """Removes what can be removed, and names the person by their alias in what has to stay."""
        ...


@dataclass(frozen=True, slots=True)
class Privacy:
    """All sources together."""

    sources: Sequence[Source] = field(default=())

    async def count(self, subject: Subject) -> dict[str, int]:
        """Source -> how many; without those that have none."""
        counts = {source.name: await source.count(subject) for source in self.sources}
        return {name: count for name, count in counts.items() if count}

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        for source in self.sources:
            async for file in source.export(subject):
                yield file

    async def erase(self, subject: Subject) -> None:
        """In an order in which what was broken off can be gone on with: the person's own record, by which their
        accounts are known, goes last."""
        for source in self.sources:
            await source.erase(subject)


def readable(values: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """JSON for people."""
    import json

    return json.dumps(values, ensure_ascii=False, indent=2).encode() + b"\n"


_UNSAFE = re.compile(r"[^\w.-]+")
LONGEST_NAME = 80


def safe_name(text: str) -> str:
    """A part of a path in an archive: no separators, no marks, never hidden nor one of Windows' devices."""
    name = _UNSAFE.sub("-", text).strip(".-")[:LONGEST_NAME] or "unnamed"
    return f"_{name}" if re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name) else name
