"""What a space, or somebody for themselves, teaches: documents learned, listed, shown, removed and searched."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import structlog

from core.access import Right
from core.commands.row import Room
from core.documents import learned_form
from core.errors import OutboundError, OutboundFault, RightsUnknownError, UnreadableError
from core.knowledge.asking import own_scope, scope_of
from core.knowledge.documents import Document, Found, titled
from core.knowledge.learning import LEARN, LONGEST_TITLE, RENEW, Lesson
from core.message import Attachment
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people.identity import account_of
from core.storage.records import Conflict
from core.texts import Amount, one_line, say

log = structlog.get_logger()

DONE = Finished(Ending.COMPLETE)
MOST_LISTED = 50
"""Documents of one list; the newest."""
SHOWN_TITLE = 80
SHOWN_TEXT = 400
"""Characters of a passage that are shown."""
MOST_SHOWN_PASSAGES = 3
MOST_FOUND = 5
LEAST_CHARS = 20
"""Of a message that is learned: who replies to less has meant something else."""
SPACE, ME = "space", "me"
SCOPES = (SPACE, ME)


async def learn(room: Room) -> AsyncIterator[Part]:
    """A file or a link, or the message that was replied to."""
    is_own = room.value("for") == ME or not room.call.space
    notice = await _refusal(room, Right.UPLOAD if is_own else Right.TEACH)
    found = notice or await _lesson(room, await (_own if is_own else _scope)(room))
    if isinstance(found, Notice):
        yield found
        yield DONE
        return
    lesson, inputs = found
    async for part in room.workshop.creations.made(room.turn, LEARN, lesson.to_json(), inputs):
        yield part


async def list_documents(room: Room) -> AsyncIterator[Part]:
    """All documents here, by their numbers."""
    documents = await room.workshop.passages.list(await _scope(room))
    if not documents:
        yield Notice("documents_none")
    else:
        lines = [say("documents_heading", room.language, count=len(documents))]
        lines += [_line(document, room.language) for document in documents[-MOST_LISTED:]]
        yield TextDelta("\n".join(lines))
        if stale := room.workshop.passages.stale(documents):
            yield Notice("documents_stale", {"count": stale})
    yield DONE


async def show(room: Room) -> AsyncIterator[Part]:
    """One of them, and how it begins."""
    document = await _named(room)
    if document is None:
        yield Notice("documents_unknown", {"found": one_line(room.value("number"), 20)})
    else:
        lines = [_line(document, room.language)]
        try:
            passages = await room.workshop.passages.read(document)
            lines += [_quoted(passage.text) for passage in passages[:MOST_SHOWN_PASSAGES]]
        except UnreadableError as error:
            log.error("a document cannot be read", cause=str(error))
        yield TextDelta("\n\n".join(lines))
    yield DONE


async def remove(room: Room) -> AsyncIterator[Part]:
    """Forgets one of them."""
    notice = await _refusal(room, Right.TEACH) if room.call.space else None
    document = await _named(room)
    if notice is not None:
        yield notice
    elif document is None:
        yield Notice("documents_unknown", {"found": one_line(room.value("number"), 20)})
    else:
        try:
            await room.workshop.passages.remove(document.scope, document.number)
        except Conflict:
            yield Notice("conflict")
        else:
            account = account_of(room.call.author, room.call.conversation.platform)
            log.info("document removed", scope=document.scope, number=document.number, by=account)
            yield Notice("documents_removed", {"name": one_line(document.title, SHOWN_TITLE)})
    yield DONE


async def renew(room: Room) -> AsyncIterator[Part]:
    """Makes vectors for documents that have none of the model that is used now."""
    if room.call.space and (notice := await _refusal(room, Right.TEACH)):
        yield notice
        yield DONE
        return
    lesson = Lesson(await _scope(room))
    async for part in room.workshop.creations.made(room.turn, RENEW, lesson.to_json()):
        yield part


async def search(room: Room) -> AsyncIterator[Part]:
    """Passages about some words, with where they stand."""
    words = room.value("words")
    scope = await _scope(room)
    if not words:
        yield Notice("search_how")
    elif not await room.workshop.passages.list(scope):
        yield Notice("documents_none")
    elif found := await room.workshop.passages.search(scope, words, MOST_FOUND, payer=room.turn.payer):
        yield TextDelta("\n\n".join(_found(one, room.language) for one in found))
    else:
        yield Notice("search_nothing", {"words": one_line(words, SHOWN_TITLE)})
    yield DONE


async def _lesson(room: Room, scope: str) -> tuple[Lesson, tuple[bytes, ...]] | Notice:
    """What is to be learned, and its file. A link that was typed comes before a file, and that before a text."""
    typed, title = room.value("link"), room.value("title")[:LONGEST_TITLE]
    quoted = room.call.quote.text.strip() if room.call.quote else ""
    if re.match(r"(?i)https?://", typed):
        return Lesson(scope, link=typed, title=title), ()
    # What was typed beside a file is what it is to be called.
    title = f"{typed} {title}".strip()[:LONGEST_TITLE]
    if room.call.attachments:
        return await _file(room, room.call.attachments[0], scope, title)
    if re.fullmatch(r"(?i)https?://\S+", quoted):
        return Lesson(scope, link=quoted, title=title), ()
    if len(quoted) >= LEAST_CHARS:
        return Lesson(scope, text=quoted, title=title), ()
    return Notice("learn_how")


async def _file(room: Room, file: Attachment, scope: str, title: str) -> tuple[Lesson, tuple[bytes, ...]] | Notice:
    limit = room.community.settings.knowledge.max_bytes
    allowed = Amount.of_bytes(limit)
    if not learned_form(file.name, file.mime):
        return Notice("file_unsupported")
    if file.size > limit:
        return Notice("file_too_large", {"found": Amount.of_bytes(file.size), "allowed": allowed})
    if room.fetch is None:
        return Notice("file_gone")
    try:
        data = await room.fetch(file, limit)
    except OutboundError as error:
        log.warning("attachment not fetched", cause=error.detail)
        if error.fault is OutboundFault.REFUSED:
            return Notice("file_too_large", {"found": Amount.of_bytes(limit, is_least=True), "allowed": allowed})
        return Notice("file_gone")
    return Lesson(scope, file.name[-LONGEST_TITLE:] or "document", file.mime, title=title), (data,)


async def _refusal(room: Room, right: Right) -> Notice | None:
    """The sentence for who lacks a right."""
    try:
        return None if await room.may(right) else Notice(f"lacking.{right}")
    except RightsUnknownError:
        return Notice("rights_unknown")


async def _named(room: Room) -> Document | None:
    typed = room.value("number").removeprefix("#")
    number = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= 9 else 0
    documents = await room.workshop.passages.list(await _scope(room))
    return next((document for document in documents if document.number == number), None)


async def _scope(room: Room) -> str:
    """In groups what the space knows, and nothing of anybody's own: others read along."""
    return await scope_of(room.workshop.passages, room.turn, room.call)


async def _own(room: Room) -> str:
    return await own_scope(room.workshop.passages, room.turn, room.call)


def _line(document: Document, language: str) -> str:
    facts = [say("document_passages", language, count=document.passages)]
    if document.pages:
        facts.insert(0, say("document_pages_count", language, count=document.pages))
    if document.added_at:
        facts.append(f"{datetime.fromtimestamp(document.added_at, UTC):%Y-%m-%d}")
    return f"{document.number}. **{titled(document.title, document.link)}** ({', '.join(facts)})"


def _found(found: Found, language: str) -> str:
    passage = found.passage
    where = [one_line(passage.heading, SHOWN_TITLE)] if passage.heading else []
    if passage.page:
        where.append(say("source_page", language, page=passage.page))
    head = f"**{titled(found.document.title, passage.link)}**"
    return "\n".join((", ".join((head, *where)), _quoted(passage.text)))


def _quoted(text: str) -> str:
    return f"> {one_line(text, SHOWN_TEXT)}"
