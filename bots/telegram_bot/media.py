"""Files on their way out: as pictures, albums, voice messages, music, films or plain files, and by their id on Telegram
where the same bytes were sent before.

What the server does not take as the one goes as a plain file: that it takes of anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from telegram import InputFile, InputMediaPhoto

from bots.adapter import Page
from bots.telegram_bot import utf16
from bots.telegram_bot.keyboard import reply_markup
from core.errors import OutboundError, OutboundFault, StorageError
from core.parts import Media

log = structlog.get_logger()

MAX_CAPTION = 1024
MAX_UPLOAD = 50_000_000
MAX_LOCAL_UPLOAD = 2_000_000_000
"""With a Bot API server of one's own."""
MAX_DOWNLOAD = 20_000_000
MAX_PHOTO_BYTES = 10_000_000
MAX_ALBUM = 10
_KINDS: Mapping[str, str] = {
    "image/jpeg": "photo",
    "image/png": "photo",
    "image/webp": "photo",
    "image/gif": "animation",
    "audio/mpeg": "audio",
    "audio/mp3": "audio",
    "audio/mp4": "audio",
    "audio/m4a": "audio",
    "audio/x-m4a": "audio",
    "video/mp4": "video",
}
_WRONG_ID = ("file identifier", "file_id", "file reference", "http url")
"""Parts of what the server says of an id that it does not know (any more)."""

Fields = Mapping[str, Any]
Call = Callable[[str, Fields], Awaitable[Any]]
"""Calls a method. Raises OutboundError."""


class Ids(Protocol):
    """Where the ids of files that were sent are kept. Raises StorageError."""

    async def recall(self, key: str) -> str | None: ...

    async def remember(self, key: str, value: str) -> None: ...


class MediaCalls:
    """The calls that send files, of one bot. Raises OutboundError."""

    def __init__(self, call: Call, ids: Ids | None, bot: str) -> None:
        """``bot`` is its account id: another bot's file ids are of no use. ``ids`` None: each file is uploaded."""
        self._call = call
        self._ids = ids
        self._bot = bot

    async def send(self, fields: Fields, media: Media, caption: Page) -> Any:
        """Creates a message with a file; gives the message."""
        fields = {**fields, **_caption(caption), **reply_markup(caption.buttons)}
        kind = kind_of(media)
        if kind != "document":
            try:
                return await self._send(kind, fields, media)
            except OutboundError as error:
                # Broken or huge pictures; people who take no voice messages.
                if error.fault is not OutboundFault.REFUSED:
                    raise
                log.info("telegram: sent as a plain file", kind=kind, cause=error.detail)
        return await self._send("document", fields, media)

    async def send_album(self, fields: Fields, pictures: Sequence[Media], caption: Page) -> list[Any]:
        """Creates an album of 2 to 10 pictures; gives its messages. Refused as a whole where one of them is."""
        said = _caption(caption)
        keys = [self._key("photo", picture) for picture in pictures]
        known = [await self._recall(key) for key in keys]
        try:
            messages = await self._call("sendmediagroup", {**fields, "media": _group(pictures, known, said)})
        except OutboundError as error:
            if not any(known) or not _is_about_id(error):
                raise
            group = _group(pictures, [None] * len(pictures), said)
            messages = await self._call("sendmediagroup", {**fields, "media": group})
        for key, message in zip(keys, messages, strict=True):
            await self._remember(key, "photo", message)
        return messages

    async def _send(self, kind: str, fields: Fields, media: Media) -> Any:
        key = self._key(kind, media)
        method = f"send{kind}"
        if known := await self._recall(key):
            try:
                return await self._call(method, {**fields, kind: known})
            except OutboundError as error:
                if not _is_about_id(error):
                    raise
                log.info("telegram: a file has to be uploaded again", cause=error.detail)
        file = InputFile(media.data, filename=media.name)
        message = await self._call(method, {**fields, kind: file})
        await self._remember(key, kind, message)
        return message

    def _key(self, kind: str, media: Media) -> str:
        digest = hashlib.sha256(media.data)
        # A plain file keeps the name that it was first sent by.
        digest.update(media.name.encode() if kind == "document" else b"")
        return f"telegram:{self._bot}:{kind}:{digest.hexdigest()[:32]}"

    async def _recall(self, key: str) -> str | None:
        if self._ids is None:
            return None
        try:
            return await self._ids.recall(key)
        except StorageError:
            return None

    async def _remember(self, key: str, kind: str, message: Any) -> None:
        """The id in a message that was created. That it is lost costs an upload, no more."""
        found: Any = message.get(kind)
        if self._ids is None or not found:
            return
        # A photo comes in several sizes, the largest last.
        file: Any = found[-1] if kind == "photo" else found
        try:
            await self._ids.remember(key, file["file_id"])
        except StorageError as error:
            log.warning("telegram: a file's id was not kept", cause=str(error))


def kind_of(media: Media) -> str:
    """What a file is sent as."""
    if media.mime == "audio/ogg":
        # Only Opus is a voice message; it says so at the beginning of its first page.
        return "voice" if b"OpusHead" in media.data[:64] else "document"
    kind = _KINDS.get(media.mime, "document")
    return "document" if kind == "photo" and len(media.data) > MAX_PHOTO_BYTES else kind


def _group(pictures: Sequence[Media], known: Sequence[str | None], caption: Mapping[str, Any]) -> list[InputMediaPhoto]:
    """Clients show the caption of the first one below all of them."""
    return [
        InputMediaPhoto(
            id or InputFile(picture.data, filename=picture.name, attach=True), **({} if number else caption)
        )
        for number, (picture, id) in enumerate(zip(pictures, known, strict=True))
    ]


def _is_about_id(error: OutboundError) -> bool:
    return error.fault is OutboundFault.REFUSED and any(part in error.detail.lower() for part in _WRONG_ID)


def _caption(caption: Page) -> dict[str, Any]:
    if not caption.text:
        return {}
    text, entities = caption.text, list(caption.entities)
    if utf16.length(text) > MAX_CAPTION:
        text = utf16.cut(text, 0, MAX_CAPTION)
        entities = [e for e in entities if e["offset"] + e["length"] <= MAX_CAPTION]
    return {"caption": text, "caption_entities": entities}
