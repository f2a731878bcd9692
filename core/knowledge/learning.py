"""The makers of documents: a file, a page or a text is read, split and learned; what lacks vectors gets some."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import structlog

from core.conversation.whereabouts import Whereabouts
from core.creations.order import Commission, Maker
from core.document_text import Pieces
from core.documents import LEARNING_SECONDS, DocumentError, learned_form, read_pieces
from core.errors import ModelError
from core.fetching import Fetched, Fetcher, FetchError
from core.knowledge.documents import Draft, Learned, LibraryError, Source, space_scope
from core.knowledge.passages import Passages
from core.knowledge.settings import KnowledgeSettings
from core.knowledge.splitting import split
from core.models.own_wires import OwnKeyError
from core.models.paying import OverBudget
from core.models.pool import Busy
from core.parts import Ending, Finished, Notice, Part, Progress
from core.storage.records import Conflict
from core.texts import one_line

log = structlog.get_logger()

LEARN, RENEW = "learn", "renew"
LONGEST_TITLE = 120
SHOWN = 80
"""Characters of a title in a sentence."""
FETCH_SECONDS = 60.0
SECONDS = FETCH_SECONDS + LEARNING_SECONDS + 1200.0
"""Of one try: reading, and vectors for some 10,000 passages by a plain processor. The next one goes on where it was."""
DONE = Finished(Ending.COMPLETE)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is to be learned: the order's file, what is behind a link, or a text."""

    scope: str
    name: str = ""
    """Of the file, with what tells its form."""
    mime: str = ""
    link: str = ""
    text: str = ""
    title: str = ""
    """As somebody chose it; empty: as it says itself."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Lesson:
        """The inverse of :meth:`to_json`. Raises ValueError for what is none, or one of a newer version."""
        found = {name: request.get(name, "") for name in cls.__slots__}
        if set(request) - set(found) or not all(isinstance(value, str) for value in found.values()):
            raise ValueError("nothing to be learned")
        return cls(**found)


class Learning:
    """Learns documents."""

    def __init__(
        self,
        passages: Passages,
        settings: KnowledgeSettings,
        whereabouts: Whereabouts,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._passages = passages
        self._settings = settings
        self._whereabouts = whereabouts
        self._fetcher = fetcher or Fetcher()

    @property
    def makers(self) -> tuple[Maker, ...]:
        """For the list of all makers."""
        return Maker(LEARN, "documents", self.learn, SECONDS), Maker(RENEW, "documents", self.renew, SECONDS)

    async def learn(self, commission: Commission) -> AsyncGenerator[Part]:
        """As :data:`core.creations.order.Make`. Run again after its process died, it goes on where that was."""
        try:
            lesson = Lesson.of(commission.order.request)
            async for part in self._learned(lesson, commission):
                yield part
        except (DocumentError, FetchError, LibraryError) as error:
            yield Notice(error.key, {**error.values, **_named(commission)})
        except Conflict:
            yield Notice("conflict")
        except ValueError as error:
            log.error("an order cannot be read", kind=LEARN, cause=str(error))
            yield Notice("document_broken", _named(commission))
        yield DONE

    async def _learned(self, lesson: Lesson, commission: Commission) -> AsyncGenerator[Part]:
        if not (scope := await self._now(lesson.scope)):
            return
        kind: Source
        if lesson.link:
            yield Progress("learn_fetching", {"host": one_line(urlsplit(lesson.link).hostname or "", SHOWN)})
            fetched = await self._fetcher.fetch(lesson.link, most_bytes=self._settings.max_bytes, seconds=FETCH_SECONDS)
            data, name, mime, kind, source = _data_of(fetched), _name_of(fetched.url), fetched.mime, "link", fetched.url
        elif lesson.text:
            data, name, mime, kind, source = lesson.text.encode("utf-8", "replace"), "", "text/markdown", "text", ""
        else:
            data, name, mime, kind, source = commission.inputs[0], lesson.name, lesson.mime, "file", lesson.name
        yield Progress("learn_reading", {"name": one_line(lesson.title or name, SHOWN)})
        form = learned_form(name, mime)
        if not form:
            yield Notice("file_unsupported")
            return
        settings = self._settings
        read = await read_pieces(data, form, max_pages=settings.max_pages, max_chars=settings.max_chars)
        link = ""
        if kind == "link":
            link = source = _canonical(source, read.link)
        draft = Draft(
            _title(lesson, read, name),
            source,
            kind,
            await asyncio.to_thread(split, read.pieces, link),
            link,
            commission.order.account,
            read.pages,
            read.cut,
        )
        title = one_line(draft.title, SHOWN)
        async with aclosing(self._passages.adding(scope, draft, commission.payer)) as steps:
            async for step in steps:
                if isinstance(step, Learned):
                    if learned := await self._settled(scope, draft, step):
                        for notice in self._said(learned, title, read):
                            yield notice
                elif await self._now(scope):
                    yield Progress("learning", {"name": title, "count": len(draft.passages)}, step)
                else:
                    return

    async def _now(self, scope: str) -> str:
        """The scope that a space's documents are in now; empty where the bot left the space, so that nobody is there
        who could be told."""
        space = _space_of(scope)
        if not space:
            return scope
        now = await self._whereabouts.of(space)
        if not now:
            log.info("nothing is learned in a space that the bot left", space=space)
        return space_scope(now) if now else ""

    async def _settled(self, scope: str, draft: Draft, learned: Learned) -> Learned | None:
        """What became of a draft, also where its space moved while it was written; None where the bot left it. Raises
        Conflict, StorageError."""
        now = await self._now(scope)
        if not now:
            await self._whereabouts.leave(_space_of(scope))
            return None
        if now == scope:
            return learned
        await self._passages.carry(scope, now)
        id = draft.id(now)
        found = (document for document in await self._passages.list(now) if document.id == id)
        return replace(learned, document=next(found, learned.document))

    def _said(self, learned: Learned, title: str, read: Pieces) -> list[Notice]:
        document = learned.document
        key = "learned_again" if learned.replaced else "learned_before" if learned.was_known else "learned"
        said = [Notice(key, {"name": title, "number": document.number, "count": document.passages})]
        if read.cut and read.pages > self._settings.max_pages:
            read_pages = self._settings.max_pages
            said.append(Notice("document_pages", {"name": title, "read": read_pages, "pages": read.pages}))
        elif read.cut:
            said.append(Notice("learned_cut", {"name": title}))
        if learned.unpaid:
            said.append(Notice("learned_by_words"))
        return said

    async def renew(self, commission: Commission) -> AsyncGenerator[Part]:
        """As :data:`core.creations.order.Make`."""
        yield Progress("renewing")
        try:
            scope = await self._now(Lesson.of(commission.order.request).scope)
            count = await self._passages.renew(scope, commission.payer) if scope else 0
            if scope and not await self._now(scope):
                await self._whereabouts.leave(_space_of(scope))
            yield Notice("renewed", {"count": count})
        except (Busy, OverBudget, OwnKeyError) as error:
            yield error.notice()
        except ModelError as error:
            log.warning("documents have no vectors", cause=str(error))
            yield Notice("learned_by_words")
        except Conflict:
            yield Notice("conflict")
        except ValueError as error:
            log.error("an order cannot be read", kind=RENEW, cause=str(error))
            yield Notice("learned_by_words")
        yield DONE


def _space_of(scope: str) -> str:
    """The space (``space_id``) whose scope it is; empty for somebody's own."""
    prefix = space_scope("")
    return scope.removeprefix(prefix) if scope.startswith(prefix) else ""


def _named(commission: Commission) -> dict[str, str]:
    request = commission.order.request
    name = request.get("title") or request.get("name") or urlsplit(str(request.get("link", ""))).hostname or "?"
    return {"name": one_line(str(name), SHOWN)}


def _title(lesson: Lesson, read: Pieces, name: str) -> str:
    first = read.pieces[0].text if lesson.text else ""
    said = lesson.title or read.title or PurePath(name).stem or name or first or lesson.link
    return " ".join(said.split())[:LONGEST_TITLE]


def _name_of(url: str) -> str:
    """The last part of an address that may tell a form; its host where there is none."""
    parts = urlsplit(url)
    return unquote(PurePath(parts.path).name) or parts.hostname or url


def _data_of(fetched: Fetched) -> bytes:
    """Text in the charset that its server told, in UTF-8."""
    return fetched.text.encode("utf-8", "replace") if fetched.charset else fetched.data


def _canonical(url: str, told: str) -> str:
    """The address that a page says it has, if it is one of the same host: nobody passes a page off as another's."""
    try:
        wanted = urljoin(url, told) if told else url
        same = urlsplit(wanted).netloc == urlsplit(url).netloc and urlsplit(wanted).scheme == urlsplit(url).scheme
    except ValueError:
        return url
    return wanted if same and len(wanted) <= len(url) + 200 else url
