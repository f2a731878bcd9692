"""Which documents a scope has: one record for each, which all processes keep in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from core.knowledge.documents import Document, Entry, Library, Source
from core.storage.client import Store
from core.storage.records import Kept, Records
from core.storage.texts import Texts


class Libraries:
    """All scopes' documents, without their texts. Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self.records = Records(store, "documents", Library())
        self.texts = store.texts

    async def documents(self, scope: str) -> tuple[Document, ...]:
        """Oldest first, as this process knows them."""
        library = (await self.records.get(scope)).value
        return tuple(document_of(entry, scope, self.texts) for entry in library.entries)

    async def fresh(self, scope: str) -> Kept[Library]:
        """As it is now."""
        return await self.records.fresh(scope)


def document_of(entry: Entry, scope: str, texts: Texts) -> Document:
    """What is kept, opened."""
    return Document(
        entry.id,
        entry.number,
        scope,
        texts.read(entry.title, scope),
        texts.read(entry.source, scope),
        cast("Source", entry.kind),
        texts.read(entry.link, scope, ""),
        entry.added_by,
        entry.added_at,
        entry.passages,
        entry.pages,
        entry.is_cut,
        entry.model,
    )


def with_entry(
    library: Library, entry: Entry, source_of: Callable[[Entry], tuple[str, str]]
) -> tuple[Library, list[str]]:
    """With one more document, in place of an older version of it; and the ids of those that went. ``source_of`` tells
    kind and source: what has the same is a newer version, unless it has no name."""
    kind, source = source_of(entry)
    same = [one for one in library.entries if one.id == entry.id or (source and source_of(one) == (kind, source))]
    number = same[0].number if same else library.last + 1
    kept = tuple(one for one in library.entries if one not in same)
    changed = library.model_copy(
        update={
            "entries": (*kept, entry.model_copy(update={"number": number})),
            "last": max(library.last, number),
            "gone": _gone(library, [one.id for one in same], entry.id),
        }
    )
    return changed, [one.id for one in same]


def without_entry(library: Library, number: int) -> tuple[Library, list[Entry]]:
    """Without the document of that number; and what that was."""
    gone = [entry for entry in library.entries if entry.number == number]
    kept = tuple(entry for entry in library.entries if entry not in gone)
    ids = [entry.id for entry in gone]
    return library.model_copy(update={"entries": kept, "gone": _gone(library, ids, "")}), gone


def _gone(library: Library, ids: Sequence[str], back: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id for id in (*library.gone, *ids) if id != back))
