"""What a person chose for themselves, and what communities chose for them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from core.people.community import Community
from core.people.identity import Person
from core.people.linking import below
from core.people.personas import Personas
from core.people.privacy import File, Subject, readable
from core.people.spaces import Allowance, Spaces
from core.storage import keys
from core.storage.audit import read_entry
from core.storage.client import Store
from core.storage.records import Change, Records
from core.storage.scanning import scan

ABOUT_PEOPLE = ("roles", "grants")
"""Settings of a space that name people."""
LESS = ("blocked", "member")
"""Roles that let somebody do less than the platform does, or as much."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Roles and rights that communities gave them. What shuts them out or takes rights away stays: nobody escapes it
    like this."""

    spaces: Spaces
    name: str = "roles"

    async def count(self, subject: Subject) -> int:
        """Of those that go."""
        told = await self._told(subject)
        return len([one for one in told if one.get("role") not in LESS and one.get("allowed") is not False])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        if told := await self._told(subject):
            yield File("roles.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        for id in await self.spaces.records.ids():
            settings = (await self.spaces.records.fresh(id)).value
            roles = {who: role for who, role in settings.roles.items() if who not in people_of(subject) or role in LESS}
            grants = tuple(
                grant for grant in settings.grants if grant.allowed is False or not _is_of(grant.who, subject)
            )
            if len(roles) < len(settings.roles) or len(grants) < len(settings.grants):

                def change(now: Any, roles: Any = roles, grants: Any = grants) -> Any:
                    return now.model_copy(
                        update={
                            "roles": {who: role for who, role in now.roles.items() if who in roles},
                            "grants": tuple(grant for grant in now.grants if grant in grants),
                        }
                    )

                await self.spaces.change(id, change)

    async def _told(self, subject: Subject) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        for id in await self.spaces.records.ids():
            settings = (await self.spaces.records.fresh(id)).value
            told += [{"space": id, "role": role} for who, role in settings.roles.items() if who in people_of(subject)]
            told += [{"space": id, **g.model_dump()} for g in settings.grants if _is_of(g.who, subject)]
        return told


def _is_of(who: str, subject: Subject) -> bool:
    kind, _, id = who.partition(":")
    return kind == "person" and id in people_of(subject)


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of communities' settings that they made, or that were about them. The changes stay, without a name."""

    store: Store
    name: str = "changes"

    async def count(self, subject: Subject) -> int:
        return len([text async for _, text in self._find(subject)])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        told: list[dict[str, Any]] = []
        async for key, text in self._find(subject):
            at, _, entry = text.partition(" ")
            change = read_entry(float(at), entry)
            if change is not None and change.actor in people_of(subject):
                # Roles and rights are about others.
                fields = [".".join(d.path[:1] if d.path[0] in ABOUT_PEOPLE else d.path) for d in change.differences]
                told.append({"space": key.partition(":log:")[2], "at": change.at, "changed": sorted(set(fields))})
        if told:
            yield File("changes.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        redis = self.store.redis
        for key, text in [found async for found in self._find(subject)]:
            at, _, entry = text.partition(" ")
            cleaned = f"{at} {_cleaned(entry, subject)}"

            async def work(key: str = key, text: str = text, cleaned: str = cleaned) -> None:
                # By what it says: others may be put before it meanwhile.
                pipe = redis.pipeline(transaction=True)
                pipe.linsert(key, "BEFORE", text, cleaned)
                pipe.lrem(key, 1, text)
                await pipe.execute()

            await self.store.attempt(work)

    async def _find(self, subject: Subject) -> AsyncIterator[tuple[str, str]]:
        for key in await scan(self.store, keys.record_log("spaces", "*")):
            entries: list[str] = await self.store.attempt(lambda key=key: self.store.redis.lrange(key, 0, -1))
            for text in entries:
                if any(f'"{id}"' in text or f":{id}" in text for id in people_of(subject)):
                    yield key, text


def _cleaned(entry: str, subject: Subject) -> str:
    for id in sorted(people_of(subject), key=len, reverse=True):
        entry = entry.replace(f'"{id}"', f'"{subject.alias}"').replace(f'"person:{id}"', f'"person:{subject.alias}"')
    values = json.loads(entry)
    if values.get("by") == subject.alias:
        values["name"] = ""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class OwnPersonas:
    """Personas that they made for themselves. What is shared in a space is the space's."""

    personas: Personas
    name: str = "personas"

    async def count(self, subject: Subject) -> int:
        return sum([len((await self.personas.records.get(id)).value.personas) for id in sorted(people_of(subject))])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        told = [
            persona.model_dump(mode="json", exclude_defaults=True)
            for id in sorted(people_of(subject))
            for persona in (await self.personas.records.get(id)).value.personas
        ]
        if told:
            yield File("personas.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        for id in sorted(people_of(subject)):
            while (kept := await self.personas.records.fresh(id)).version:
                if await self.personas.records.write([Change(kept, None)]) is not None:
                    break


@dataclass(frozen=True, slots=True)
class Profile:
    """What they chose and asked to keep in mind, and which accounts are theirs."""

    community: Community
    name: str = "profile"

    async def count(self, subject: Subject) -> int:
        return len([id for id in sorted(people_of(subject)) if (await self._records.fresh(id)).version])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        for id in sorted(people_of(subject)):
            kept = await self._records.fresh(id)
            if kept.version and not kept.value.goes_by:
                values = kept.value.model_dump(mode="json", exclude_defaults=True)
                if kept.value.keys:
                    # An own key is never shown again, to nobody.
                    values["keys"] = sorted(kept.value.keys)
                values.pop("was", None)
                yield File("person.json", readable(values))

    async def erase(self, subject: Subject) -> None:
        """All at once: their accounts are known by it. Of somebody who is shut out, or may do or spend less than
        others, that stays, and by which accounts."""
        while True:
            kept = [await self._records.fresh(id) for id in sorted(people_of(subject))]
            is_barred = await self.bars(subject)
            changes = [Change(one, self._what_bars(one.value) if is_barred else None) for one in kept if one.version]
            if not changes or await self._records.write(changes) is not None:
                return

    async def bars(self, subject: Subject) -> bool:
        """Whether the owner shut them out or lets them spend less than others, or a community lets them do less."""
        people = [(await self._records.fresh(id)).value for id in sorted(people_of(subject))]
        if any(person.blocked or self._less(person) != Allowance() for person in people):
            return True
        spaces = self.community.spaces.records
        for id in await spaces.ids():
            settings = (await spaces.fresh(id)).value
            shut = {who for who, role in settings.roles.items() if role in LESS}
            shut |= {grant.who.partition(":")[2] for grant in settings.grants if not grant.allowed}
            if any(who in people_of(subject) or any(p.is_or_was(who) for p in people) for who in shut):
                return True
        return False

    def _what_bars(self, person: Person) -> Person:
        return Person(
            id=person.id,
            accounts=person.accounts,
            goes_by=person.goes_by,
            blocked=person.blocked,
            was=person.was,
            allowance=self._less(person),
        )

    def _less(self, person: Person) -> Allowance:
        return below(person.allowance, self.community.budgets.usual)

    @property
    def _records(self) -> Records[Person]:
        return self.community.people.records


def people_of(subject: Subject) -> frozenset[str]:
    return frozenset((subject.person, *subject.accounts))
