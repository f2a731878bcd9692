"""Where something comes from: what a file says of itself, else what is known here of the message that shows it.

Labels and their absence prove little: anybody can write one, and most platforms take them out of pictures. Only Content
Credentials that are whole tell who signed the file as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog

from core.commands.row import Room
from core.errors import OutboundError
from core.labels import credentials
from core.labels.labelling import read
from core.labels.origin import Origin
from core.message import Attachment, AttachmentKind
from core.parts import Ending, Finished, Media, Notice, Part, TextDelta
from core.texts import Moment, one_line, say

log = structlog.get_logger()

MAX_FILES = 4
MAX_BYTES = 20_000_000
"""Of a file that is looked at: as much as Telegram hands to bots."""
LONGEST = 80
"""Characters shown of what stands in a label."""
_KINDS = {AttachmentKind.IMAGE: "image/png", AttachmentKind.AUDIO: "audio/ogg", AttachmentKind.VIDEO: "video/mp4"}
"""What each kind of file most likely is, where its platform does not say."""


async def origin(room: Room) -> AsyncIterator[Part]:
    """Of the files of a message, or of an answer."""
    files = [file for file in room.call.attachments if file.kind in _KINDS or _is_medium(file)][:MAX_FILES]
    record = await _record(room)
    if not files and not record:
        yield Notice("origin_unknown" if room.call.reply_to else "origin_how")
    for file in files:
        lines = await _of_file(room, file)
        yield TextDelta("".join(f"- {line}\n" for line in lines) + "\n")
    if record:
        yield TextDelta(record)
    yield Finished(Ending.COMPLETE)


def _is_medium(file: Attachment) -> bool:
    """Sent as a plain file, it keeps its label, on platforms that would take it out of a picture."""
    return file.mime.partition("/")[0] in ("image", "audio", "video")


async def _of_file(room: Room, file: Attachment) -> list[str]:
    language = room.language
    if room.fetch is None or file.size > MAX_BYTES:
        return [say("origin_too_large", language)]
    try:
        data = await room.fetch(file, MAX_BYTES)
    except OutboundError as error:
        log.warning("a file was not fetched", cause=error.detail)
        return [say("file_gone", language)]
    found = await asyncio.to_thread(read, data)
    lines = [_told(found, language) if found else say("origin_none", language)]
    if credentials.carries(data):
        lines.append(await _of_credentials(data, file.mime or _KINDS.get(file.kind, ""), language))
    return lines


def _told(found: Origin, language: str) -> str:
    """What a label says, in a sentence."""
    if found.surety != "1":
        said = say("origin_suspected", language)
    elif not found.model:
        said = say("origin_labelled", language)
    else:
        key = "origin_edited" if found.is_edit else "origin_made"
        said = say(key, language, model=_shown(found.model))
    more = [
        say("origin_provider", language, provider=_shown(found.provider)) if found.provider else "",
        say("origin_producer", language, producer=_shown(found.producer)) if found.producer else "",
        say("origin_time", language, time=Moment(found.made_at)) if found.made_at else "",
        say("origin_id", language, id=_shown(found.id)) if found.id else "",
    ]
    return " ".join(filter(None, (said, *more)))


async def _of_credentials(data: bytes, mime: str, language: str) -> str:
    if not credentials.can_check():
        return say("origin_unchecked", language)
    checked = await asyncio.to_thread(credentials.check, data, mime)
    if checked is None:
        return say("origin_unchecked", language)
    if not checked.is_whole:
        return say("origin_changed", language)
    key = "origin_signed" if checked.is_trusted else "origin_signed_unknown"
    return say(key, language, signer=_shown(checked.signer or "?"))


async def _record(room: Room) -> str:
    """What is known here of the message, in a sentence; empty where nothing is."""
    conversation, id = room.call.conversation, room.call.reply_to
    if not id:
        return ""
    known = await room.history.known(conversation, id, "origin")
    if known.answer is not None and known.answer.model:
        return say("origin_answer", room.language, model=_shown(known.answer.model))
    creations = room.workshop.creations
    order = await creations.of_message(conversation, id)
    if order is None:
        return ""
    # As it left here, for as long as that is kept: platforms take labels out.
    files = [part.data for part in await creations.parts_of(order) if isinstance(part, Media)]
    label = await asyncio.to_thread(read, files[0]) if files else None
    if label is not None:
        return f"{say('origin_sent', room.language)} {_told(label, room.language)}"
    return say("origin_record", room.language, id=_shown(order.label))


def _shown(text: str) -> str:
    """Text of anybody's, as nothing but text."""
    return one_line(text, LONGEST)
