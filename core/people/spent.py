"""What a person used, as numbers: their name goes, the sums stay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from core.people.privacy import File, Subject, readable
from core.storage import keys
from core.storage.client import Store
from core.storage.scanning import fields_of, scan

AT_ONCE = 100
"""Fields renamed in one round trip."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The source of it. What budgets go by today and this month stays until the month is over, so that none begins anew
    for who has themselves erased."""

    store: Store
    running: tuple[str, str]
    """The day and the month of now, as budgets name them."""
    name: str = "usage"

    async def count(self, subject: Subject) -> int:
        """Days on which they used something."""
        return len({_day(key) async for key, _, _ in _find(self.store, subject)})

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        told: dict[str, dict[str, Any]] = {}
        async for key, field, amount in _find(self.store, subject):
            if not key.endswith(":*"):
                # The same stands among that of each space.
                continue
            _, model, what = field.split("\t")
            told.setdefault(_day(key), {}).setdefault(model, {})[what] = int(amount)
        if told:
            yield File("usage.json", readable(dict(sorted(told.items()))))

    async def erase(self, subject: Subject) -> None:
        await unname(self.store, subject)
        for key in await scan(self.store, keys.BUDGETS.used("*")):
            if key not in {keys.BUDGETS.used(date) for date in self.running}:
                await forget_used(self.store, key, subject)


async def unname(store: Store, subject: Subject) -> None:
    """Counts under their alias what they used. Raises StorageError."""
    fields: dict[str, list[str]] = {}
    async for key, field, _ in _find(store, subject):
        _, _, rest = field.partition("\t")
        fields.setdefault(key, []).extend((field, f"{subject.alias}\t{rest}"))
    for key, pairs in fields.items():
        await _rename(store, key, pairs)
    people = sorted({subject.person, *subject.accounts})
    await store.attempt(lambda: store.redis.hdel(keys.BUDGETS.names, *people))


async def _find(store: Store, subject: Subject) -> AsyncIterator[tuple[str, str, str]]:
    """Key, field and amount of all that they used."""
    people = {subject.person, *subject.accounts}
    for key in await scan(store, keys.BUDGETS.usage("*", "*")):
        async for field, amount in fields_of(store, key):
            if field.partition("\t")[0] in people:
                yield key, field, amount


async def forget_used(store: Store, key: str, subject: Subject) -> None:
    """Removes what a day's or month's budgets of the person came to. Raises StorageError."""
    people = {subject.person, *subject.accounts}
    gone = list[str]()
    async for field, _ in fields_of(store, key):
        kind, _, whose = field.partition("\t")[0].partition(":")
        if kind in ("person", "member") and whose.rpartition(" ")[2] in people:
            gone += (field, "")
    await _rename(store, key, gone)


async def _rename(store: Store, key: str, pairs: list[str]) -> None:
    for at in range(0, len(pairs), 2 * AT_ONCE):
        await store.run("renamed", [key], pairs[at : at + 2 * AT_ONCE])


def _day(key: str) -> str:
    return key.removeprefix(keys.BUDGETS.usage("", "")[:-1]).partition(":")[0]
