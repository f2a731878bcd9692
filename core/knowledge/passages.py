"""What was learned: kept in Redis by scope, and searched.

A scope is a space or a person (``space_scope``, ``person_scope``). Which documents it has stands in one record that all
processes keep in memory; their passages are read when they are first searched, and stay in memory as long as there is
room. So a search costs no round trip to Redis once a scope is known.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from core.errors import ModelError, UnreadableError
from core.knowledge.contents import BATCH, Content, Contents
from core.knowledge.documents import (
    Document,
    Draft,
    Entry,
    Found,
    Learned,
    Library,
    LibraryError,
    Passage,
    person_scope,
    space_scope,
)
from core.knowledge.libraries import Libraries, document_of, with_entry, without_entry
from core.knowledge.ranking import rank
from core.knowledge.settings import KnowledgeSettings
from core.knowledge.shelf import Shelf, about
from core.knowledge.shelves import Shelves
from core.models.embedding import Embedder
from core.models.model import NEAR
from core.models.paying import NOBODY, OverBudget, Payer
from core.models.pool import Busy
from core.people.identity import Person
from core.storage.client import Store
from core.storage.records import Conflict

log = structlog.get_logger()

MOST_ASKED = 200
"""Questions whose vectors are kept: one turn often looks for the same twice."""
LONGEST_QUERY = 2000
"""Characters of a question that are looked up."""
UNANSWERED = (ModelError, Busy, OverBudget)


class Passages:
    """Everything that was learned."""

    def __init__(
        self,
        store: Store,
        settings: KnowledgeSettings,
        embedder: Embedder | None = None,
        libraries: Libraries | None = None,
    ) -> None:
        """Without an embedder, or a model for it, passages are found by their words alone. ``libraries`` are those that
        somebody keeps up to date, where somebody does (``Community.follow``)."""
        self._libraries = libraries or Libraries(store)
        self._contents = Contents(store)
        self._settings = settings
        self._embedder = embedder
        self._shelves = Shelves(settings.cache_bytes)
        self._asked_lately: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    @property
    def cached_bytes(self) -> int:
        """Memory in use for what was searched lately, about."""
        return self._shelves.bytes

    async def list(self, scope: str) -> tuple[Document, ...]:
        """A scope's documents, oldest first. Raises StorageError."""
        return await self._libraries.documents(scope)

    async def read(self, document: Document) -> Sequence[Passage]:
        """All of a document. Raises StorageError, UnreadableError."""
        return (await self._contents.load(document.scope, document.id, document.passages, "")).passages

    # ---- learning

    async def add(self, scope: str, draft: Draft, payer: Payer = NOBODY) -> Learned:
        """Learns a document, in place of an older version of it: another one from the same source. Raises LibraryError
        where there is no room for it, Conflict, StorageError."""
        async with aclosing(self.adding(scope, draft, payer)) as steps:
            async for step in steps:
                if isinstance(step, Learned):
                    return step
        raise AssertionError("adding ends with what it learned")

    async def adding(self, scope: str, draft: Draft, payer: Payer = NOBODY) -> AsyncGenerator[float | Learned]:
        """The same, and how far it is (0 to 1) before that. Broken off at any moment, and begun again, it goes on where
        it was; until its end nothing of it is found."""
        id, model = draft.id(scope), self._model
        before = (await self._libraries.fresh(scope)).value
        known = next((entry for entry in before.entries if entry.id == id), None)
        staged = await self._contents.staged(scope, id)
        starts = range(0, len(draft.passages), BATCH)
        is_there = [
            f"p{batch}" in staged and (not model or staged.get(f"m{batch}") == model) for batch in range(len(starts))
        ]
        if known is not None and (not model or known.model == model) and all(is_there):
            await self._settle(scope, id)
            yield Learned(document_of(known, scope, self._libraries.texts), was_known=True)
            return
        self._admit(before, self._entry(scope, draft, id, ""), scope)
        is_unpaid = False
        for batch, start in enumerate(starts):
            yield batch / len(starts)
            if is_there[batch]:
                continue
            passages = draft.passages[start : start + BATCH]
            vectors: tuple[bytes, ...] = ()
            if model and not is_unpaid:
                try:
                    vectors = await self._vectors(scope, draft.title, passages, model, payer)
                except UNANSWERED as error:
                    log.warning("passages have no vectors", scope=scope, model=model, cause=str(error))
                    is_unpaid = True
            await self._contents.stage(scope, id, batch, passages, vectors, model, is_kept=known is not None)
        yield 1.0
        entry = self._entry(scope, draft, id, "" if is_unpaid else model)
        gone: list[str] = []

        def change(now: Library) -> Library:
            self._admit(now, entry, scope)
            changed, replaced = with_entry(now, entry, self._sources(scope))
            gone[:] = replaced
            return changed

        kept = await self._libraries.records.change(scope, change)
        await self._settle(scope, id)
        stored = next(one for one in kept.value.entries if one.id == id)
        yield Learned(document_of(stored, scope, self._libraries.texts), bool(gone), unpaid=is_unpaid)

    async def remove(self, scope: str, number: int) -> Document | None:
        """Forgets a document; None where there is none of that number. Raises Conflict, StorageError."""
        gone: list[Entry] = []

        def change(now: Library) -> Library:
            changed, gone[:] = without_entry(now, number)
            return changed

        await self._libraries.records.change(scope, change)
        await self._contents.remove(scope, [entry.id for entry in gone], now=True)
        await self._settle(scope)
        return document_of(gone[0], scope, self._libraries.texts) if gone else None

    async def renew(self, scope: str, payer: Payer = NOBODY) -> int:
        """Makes vectors for what has none of the model that is used now: how many documents got some. Raises Conflict,
        StorageError, and what :class:`Embedder` raises."""
        renewed = 0
        for document in await self.list(scope):
            model = self._model
            if not model or document.model == model:
                continue
            try:
                passages = await self.read(document)
            except UnreadableError as error:
                log.error("a document cannot be read", cause=str(error))
                continue
            for batch, start in enumerate(range(0, len(passages), BATCH)):
                some = passages[start : start + BATCH]
                vectors = await self._vectors(scope, document.title, some, model, payer)
                await self._contents.stage_vectors(scope, document.id, batch, vectors, model)

            def change(now: Library, id: str = document.id, model: str = model) -> Library:
                entries = (one.model_copy(update={"model": model}) if one.id == id else one for one in now.entries)
                return now.model_copy(update={"entries": tuple(entries)})

            kept = await self._libraries.records.change(scope, change)
            if all(entry.id != document.id for entry in kept.value.entries):
                # It went, or moved along with its group, and nothing names these vectors.
                await self._contents.remove(scope, [document.id], now=True)
                continue
            renewed += 1
        return renewed

    async def move(self, old: str, new: str) -> None:
        """Gives a space's documents to its new id (``space_id``), however often it is told. Raises Conflict,
        StorageError."""
        await self.carry(space_scope(old), space_scope(new))

    async def own(self, person: Person) -> str:
        """The scope of somebody's own documents. What they taught by an account that they linked since comes there
        first. Raises StorageError."""
        scope = person_scope(person.id)
        for there in map(person_scope, person.known_accounts):
            if there != scope and await self.list(there):
                try:
                    await self.carry(there, scope)
                except Conflict as error:  # another process is at it
                    log.info("documents stay where they are for now", scope=there, cause=str(error))
        return scope

    async def carry(self, there: str, here: str) -> None:
        """Gives a scope's documents to another, as they are, however often it is told. Raises Conflict,
        StorageError."""
        await self._libraries.fresh(there)
        for document in await self.list(there):
            try:
                content = await self._contents.load(there, document.id, document.passages, document.model)
            except UnreadableError as error:
                log.error("a document cannot be moved", cause=str(error))
                continue
            draft = _draft_of(document, content)
            id = draft.id(here)
            is_kept = any(one.id == id for one in (await self._libraries.fresh(here)).value.entries)
            for batch, start in enumerate(range(0, len(content.passages), BATCH)):
                width = len(content.vectors) // max(1, len(content.passages))
                vectors = [content.vectors[at * width : (at + 1) * width] for at in range(start, start + BATCH)]
                vectors = [vector for vector in vectors if vector]
                some = content.passages[start : start + BATCH]
                await self._contents.stage(here, id, batch, some, vectors, document.model, is_kept=is_kept)
            entry = self._entry(here, draft, id, document.model if content.vectors else "")
            entry = entry.model_copy(update={"added_at": document.added_at})

            def change(now: Library, entry: Entry = entry) -> Library:
                # Two files of one name are two documents: none of them is a newer version of the other.
                return with_entry(now, entry, lambda _: ("", ""))[0]

            await self._libraries.records.change(here, change)
            await self._settle(here, id)
            await self.remove(there, document.number)

    def stale(self, documents: Sequence[Document]) -> int:
        """How many of them have no vectors of the model that is used now: :meth:`renew` makes some."""
        return sum(document.model != self._model for document in documents) if self._model else 0

    async def _settle(self, scope: str, id: str = "") -> None:
        """Has a document stay that the record names now, and those go that it names no more: also where the process
        that wrote the record died before it came to that."""
        if id:
            await self._contents.keep(scope, id)
        if gone := (await self._libraries.fresh(scope)).value.gone:
            await self._contents.remove(scope, gone)

            def change(now: Library) -> Library:
                return now.model_copy(update={"gone": tuple(one for one in now.gone if one not in gone)})

            kept = await self._libraries.records.change(scope, change)
            for entry in kept.value.entries:
                if entry.id in gone:  # learned anew in this very moment
                    await self._contents.keep(scope, entry.id)

    # ---- searching

    async def search(
        self, scope: str, query: str, count: int = 5, least: float = 0.0, payer: Payer = NOBODY
    ) -> Sequence[Found]:
        """Passages about a question, best first; those whose score is less than ``least`` are left out. Where the
        model of the vectors cannot be asked, they are found by their words. Raises StorageError."""
        documents = await self.list(scope)
        query = query[:LONGEST_QUERY]
        if not documents or not query.strip():
            return ()
        shelves: list[Shelf] = []
        shown: list[Document] = []
        for document in documents:
            try:
                shelves.append(await self._shelf(document))
                shown.append(document)
            except UnreadableError as error:
                log.error("a document cannot be read", cause=str(error))
        vector, near = await self._asked(documents, scope, query, payer)
        ranked = await asyncio.to_thread(rank, shelves, query, vector, count, near)
        return tuple(
            Found(shelves[one.shelf].passages[one.passage], shown[one.shelf], one.score)
            for one in ranked
            if one.score >= least
        )

    async def _asked(self, documents: Sequence[Document], scope: str, query: str, payer: Payer) -> tuple[bytes, float]:
        """The question's vector by the model that most documents have theirs of, empty where it cannot be asked; and
        how near an answer is to that model."""
        models = [document.model for document in documents if document.model]
        embedder = self._embedder
        if not models or embedder is None:
            return b"", NEAR
        model = max(set(models), key=lambda name: (models.count(name), name))
        if not embedder.has(model):
            return b"", NEAR
        near = embedder.near(model)
        if (known := self._asked_lately.get((model, query))) is not None:
            return known, near
        try:
            vector = (await embedder.query(query, model, space=scope, payer=payer)).vectors[0]
        except UNANSWERED as error:
            log.warning("a question has no vector", model=model, cause=str(error))
            return b"", NEAR
        self._asked_lately[model, query] = vector
        if len(self._asked_lately) > MOST_ASKED:
            self._asked_lately.popitem(last=False)
        return vector, near

    async def _shelf(self, document: Document) -> Shelf:
        async def load() -> Shelf:
            content = await self._contents.load(document.scope, document.id, document.passages, document.model)
            return await asyncio.to_thread(Shelf.of, document.title, content.passages, content.vectors)

        return await self._shelves.get((document.scope, document.id, document.model), load)

    @property
    def _model(self) -> str:
        return self._embedder.model if self._embedder else ""

    async def _vectors(
        self, scope: str, title: str, passages: Sequence[Passage], model: str, payer: Payer
    ) -> tuple[bytes, ...]:
        if self._embedder is None:
            return ()
        texts = [about(title, passage) for passage in passages]
        return (await self._embedder.passages(texts, model, space=scope, payer=payer)).vectors

    def _entry(self, scope: str, draft: Draft, id: str, model: str) -> Entry:
        def seal(text: str) -> str:
            return self._libraries.texts.seal(text, scope)

        return Entry(
            id=id,
            number=0,
            title=seal(draft.title),
            source=seal(draft.source),
            kind=draft.kind,
            link=seal(draft.link),
            added_by=draft.added_by,
            added_at=time.time(),
            passages=len(draft.passages),
            pages=draft.pages,
            is_cut=draft.is_cut,
            model=model,
        )

    def _sources(self, scope: str) -> Callable[[Entry], tuple[str, str]]:
        texts = self._libraries.texts
        return lambda entry: (entry.kind, texts.read(entry.source, scope))

    def _admit(self, now: Library, entry: Entry, scope: str) -> None:
        """Raises LibraryError where there is no room for it."""
        others = with_entry(now, entry, self._sources(scope))[0].entries
        is_space = scope.startswith("space:")
        most = self._settings.space_documents if is_space else self._settings.person_documents
        most_passages = self._settings.space_passages if is_space else self._settings.person_passages
        if len(others) > most:
            raise LibraryError("library_full", most=most)
        if (found := sum(one.passages for one in others)) > most_passages:
            raise LibraryError("library_long", found=found, most=most_passages)


def _draft_of(document: Document, content: Content) -> Draft:
    return Draft(
        document.title,
        document.source,
        document.kind,
        tuple(replace(passage, document="") for passage in content.passages),
        document.link,
        document.added_by,
        document.pages,
        document.is_cut,
    )
