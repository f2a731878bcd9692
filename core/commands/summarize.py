"""Summaries and translations of whatever there is: a text, a message, a link, files, what was said here. What is long
becomes a job."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import structlog

from core.access import Right
from core.commands.asking import asker_of, language_of
from core.commands.row import Room
from core.documents import DocumentError, form_of, read_document
from core.errors import OutboundError
from core.fetching import READABLE, Fetched, FetchError
from core.message import Attachment, AttachmentKind
from core.parts import Ending, Finished, Notice, Part, Progress
from core.summaries import talk, translations
from core.summaries.summaries import KIND, request
from core.summaries.talk import Line
from core.texts import one_line

log = structlog.get_logger()

DONE = Finished(Ending.COMPLETE)
MOST_MESSAGES = 500
MOST_CHARS = 2_000_000
"""Of what is read for one summary."""
MOST_PAGES = 10_000
LINK_BYTES = 5_000_000
JUDGED = 20_000
"""Characters that are looked at before they are summarized."""
LONGEST_WISH = 300
LONGEST_NAME = 60
_LINK = re.compile(r"https?://[^\s<>\"，。、；！？：（）【】《》「」『』“”]+", re.IGNORECASE)
"""As people write one: in a Chinese sentence, or within brackets, which keep Discord from showing the page."""
_LINK_KINDS = (*READABLE, "application/pdf", "application/epub+zip", "application/vnd.openxmlformats")


async def summarize(room: Room) -> AsyncIterator[Part]:
    """What the call names; else the conversation."""
    call, typed = room.call, room.value("text")
    meant = call.quote.text if call.quote else ""
    count = _count(room.value("messages") or ("" if meant else typed))
    if count:
        lines = await talk.lines_of(room.history, call.conversation, but=call.id)
        parts = _of_talk(room, lines[-count:], "")
    elif link := link_in(typed) or (link_in(meant) if len(meant.split()) == 1 else ""):
        parts = _of_link(room, link, typed.replace(f"<{link}>", "").replace(link, "").strip())
    elif documents := [one for one in call.attachments if one.kind is AttachmentKind.DOCUMENT]:
        parts = _of_files(room, documents, meant or typed)
    else:
        parts = _of_text(room, meant or typed, typed if meant else "", is_own=True)
    async for part in parts:
        yield part


async def catchup(room: Room) -> AsyncIterator[Part]:
    """What was said here since the asker's last message."""
    call = room.call
    if not room.turn.space.passive:
        yield Notice("catchup_deaf")
        yield DONE
        return
    lines = await talk.lines_of(room.history, call.conversation, but=call.id)
    async for part in _of_talk(room, talk.since(lines, call.author.id)[-MOST_MESSAGES:], "", alone=True):
        yield part


async def translate(room: Room) -> AsyncIterator[Part]:
    """The message replied to, what is typed, or files; what fits into one answer goes on in the conversation."""
    call, typed = room.call, room.value("text")
    meant, wanted = call.quote.text if call.quote else "", room.value("language")
    text, language = meant or typed, wanted or (typed if meant else "")
    notices: list[Notice] = []
    if not text and (documents := [one for one in call.attachments if one.kind is AttachmentKind.DOCUMENT]):
        text, notices = await _texts_of(room, documents)
        if not text:
            for notice in notices:
                yield notice
            yield DONE
            return
    asker = await asker_of(room)
    is_short = len(text) <= room.community.settings.chat.max_message_chars // 2
    if is_short and room.ask and room.workshop.translations.fits(asker, text):
        parts = room.ask(call)
    elif refusal := await room.workshop.safety.prompt(room.turn, text[:JUDGED]):
        yield refusal
        yield DONE
        return
    else:
        into = translations.request(asker, language_of(language, call))
        for notice in notices:
            yield notice
        made, data = room.workshop.creations.made, text.encode("utf-8", "replace")
        parts = made(room.turn, translations.KIND, into, (data,))
    async for part in parts:
        yield part


def link_in(text: str) -> str:
    """The first link, without what ends a sentence or a bracket behind it; empty for none."""
    found = _LINK.search(text)
    link = found[0].rstrip(".,;:!?'*]") if found else ""
    return link.rstrip(").,;:!?'*]") if link.count(")") > link.count("(") else link


async def _of_talk(room: Room, lines: Sequence[Line], wish: str, *, alone: bool = False) -> AsyncIterator[Part]:
    if not lines:
        yield Notice("catchup_nothing")
        yield DONE
        return
    yield Notice("summary_of", {"count": len(lines)})
    async for part in _made(room, talk.as_text(lines), wish, alone=alone):
        yield part


async def _of_link(room: Room, link: str, wish: str) -> AsyncIterator[Part]:
    yield Progress("summary_fetching")
    try:
        fetched = await room.workshop.summaries.fetcher.fetch(link, most_bytes=LINK_BYTES, kinds=_LINK_KINDS)
        text = await _read(_bytes_of(fetched), form_of(fetched.url.partition("?")[0], fetched.mime))
    except FetchError as error:
        yield Notice(error.key, error.values)
        yield DONE
        return
    except DocumentError as error:
        yield Notice(error.key, {"name": one_line(link, LONGEST_NAME)})
        yield DONE
        return
    async for part in _of_text(room, text, wish):
        yield part


async def _of_files(room: Room, files: Sequence[Attachment], wish: str) -> AsyncIterator[Part]:
    text, notices = await _texts_of(room, files)
    for notice in notices:
        yield notice
    if not text:
        yield DONE
        return
    async for part in _of_text(room, text, wish):
        yield part


async def _texts_of(room: Room, files: Sequence[Attachment]) -> tuple[str, list[Notice]]:
    """What stands in files, and why some of it could not be read."""
    if room.fetch is None or (room.access and not await room.access.has(room.turn, Right.UPLOAD)):
        return "", [Notice("lacking.upload")]
    limit = room.community.settings.chat.max_document_bytes
    texts: list[str] = []
    notices: list[Notice] = []
    for file in files:
        try:
            texts.append(await _read(await room.fetch(file, limit), form_of(file.name, file.mime)))
        except DocumentError as error:
            notices.append(Notice(error.key, {"name": one_line(file.name or "?", LONGEST_NAME)}))
        except OutboundError as error:
            log.warning("attachment not fetched", cause=error.detail)
            notices.append(Notice("file_gone"))
    return "\n\n".join(texts)[:MOST_CHARS], notices


async def _of_text(room: Room, text: str, wish: str, *, is_own: bool = False) -> AsyncIterator[Part]:
    """A text that one prompt holds is a question, so that one can go on talking about it; a longer one becomes a job.
    ``is_own``: it came with the call itself."""
    summaries, call = room.workshop.summaries, room.call
    is_short = len(text) <= room.community.settings.chat.max_message_chars // 2
    if is_short and room.ask and summaries.fits(await asker_of(room), text):
        asked = call if is_own else replace(call, options=_options(room, text, wish), quote=None, attachments=())
        parts = room.ask(asked)
    else:
        parts = _made(room, text, wish)
    async for part in parts:
        yield part


def _options(room: Room, text: str, wish: str) -> dict[str, str]:
    language = room.value("language")
    said = f"{text}\n\n({wish})" if wish else text
    return {"text": said, **({"language": language} if language else {})}


async def _made(room: Room, text: str, wish: str, *, alone: bool = False) -> AsyncIterator[Part]:
    if refusal := await room.workshop.safety.prompt(room.turn, f"{wish}\n{text}"[:JUDGED]):
        yield refusal
        yield DONE
        return
    asker = await asker_of(room)
    wanted = request(asker, language_of(room.value("language"), room.call), " ".join(wish.split())[:LONGEST_WISH])
    made, data = room.workshop.creations.made, text.encode("utf-8", "replace")
    async for part in made(room.turn, KIND, wanted, (data,), alone=alone):
        yield part


async def _read(data: bytes, form: str) -> str:
    """Raises DocumentError."""
    if not form:
        raise DocumentError("file_unsupported")
    return (await read_document(data, form, max_pages=MOST_PAGES, max_chars=MOST_CHARS)).text


def _bytes_of(fetched: Fetched) -> bytes:
    """Text in the charset that its server told, in UTF-8."""
    return fetched.text.encode("utf-8", "replace") if fetched.charset else fetched.data


def _count(typed: str) -> int:
    """How many messages a number means; 0 for what is none."""
    is_number = typed.isascii() and typed.isdecimal() and len(typed) <= 4
    return min(int(typed), MOST_MESSAGES) if is_number else 0
