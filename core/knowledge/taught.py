"""What people taught, as their own data: told, exported and erased (``core/people/privacy.py``)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import UnreadableError
from core.knowledge.contents import Contents
from core.knowledge.documents import Document, Library, person_scope
from core.knowledge.libraries import Libraries
from core.people.privacy import File, Subject, readable, safe_name
from core.storage import keys
from core.storage.client import Store
from core.storage.scanning import scan


@dataclass(frozen=True, slots=True)
class Taught:
    """Documents of their own, which go; and in spaces those that they taught, which stay without their name: they are
    the space's."""

    store: Store
    libraries: Libraries
    name: str = "documents"

    async def count(self, subject: Subject) -> int:
        """Their own, which go."""
        return sum([len((await self.libraries.fresh(scope)).value.entries) for scope in _scopes(subject)])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        told: list[dict[str, Any]] = []
        contents = Contents(self.store)
        for scope in _scopes(subject):
            await self.libraries.fresh(scope)
            for document in await self.libraries.documents(scope):
                told.append(_told(document))
                try:
                    kept = await contents.load(scope, document.id, document.passages, "")
                except UnreadableError:
                    continue
                text = "\n\n".join(passage.text for passage in kept.passages)
                yield File(f"documents/{document.number}-{safe_name(document.title)}.txt", text.encode())
        told += [_told(document) async for document in self._in_spaces(subject)]
        if told:
            yield File("documents.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        contents = Contents(self.store)
        for scope in _scopes(subject):
            ids = [entry.id for entry in (await self.libraries.fresh(scope)).value.entries]
            await self.libraries.records.change(scope, lambda _: None)
            await contents.remove(scope, ids, now=True)
            # What is being learned right now is named nowhere yet.
            for key in await scan(self.store, keys.document(scope, "*")):
                await self.store.attempt(lambda key=key: self.store.redis.unlink(key))
        for scope in {document.scope async for document in self._in_spaces(subject)}:
            await self.libraries.records.change(scope, lambda now: _nameless(now, subject))

    async def _in_spaces(self, subject: Subject) -> AsyncIterator[Document]:
        for scope in await self.libraries.records.ids():
            if scope.startswith("space:"):
                await self.libraries.fresh(scope)
                for document in await self.libraries.documents(scope):
                    if document.added_by in subject.accounts:
                        yield document


def _scopes(subject: Subject) -> list[str]:
    return [person_scope(account) for account in subject.accounts]


def _told(document: Document) -> dict[str, Any]:
    return {name: value for name, value in asdict(document).items() if name not in ("id", "added_by", "model")}


def _nameless(library: Library, subject: Subject) -> Library:
    entries = tuple(
        entry.model_copy(update={"added_by": subject.alias}) if entry.added_by in subject.accounts else entry
        for entry in library.entries
    )
    return library.model_copy(update={"entries": entries})
