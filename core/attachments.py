"""What came with a question, made readable: pictures for models' eyes, recordings and documents as text.

Sizes and lengths are compared as declared before anything is fetched, and again while it is.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from core.conversation.attached import Attached, Kind, fitted
from core.conversation.history import History, Path, Question
from core.conversation.readings import Readings, reading_id
from core.documents import DocumentError, form_of, read_document
from core.errors import ModelError, OutboundError, OutboundFault, RecordingTooLong
from core.message import Attachment, AttachmentKind, ConversationKey, Message, Platform
from core.models.own_wires import OwnKeyError
from core.models.paying import NOBODY, OverBudget, Payer
from core.models.pool import Busy
from core.models.transcription import Transcriber, length_of
from core.parts import Notice
from core.settings import ChatSettings
from core.texts import Amount, Value, one_line

log = structlog.get_logger()

Fetch = Callable[[ConversationKey, Attachment, int], Awaitable[bytes]]
"""Gets a file from the platform that it came from, of at most so many bytes. Raises OutboundError."""
MAX_FILES = 10
"""Recordings and documents read of one message: as many as an album of Telegram's holds."""
HEARD_AT_ONCE = 8
READ_AT_ONCE = 2
"""Recordings and documents that one process works on at the same time; reading one may take as much memory as
``document_forms.MEMORY_BYTES``."""
LONGEST_HEARD = 200
"""Characters of a transcript that are shown in a group."""
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Read:
    """A message's attachments, as far as they could be read."""

    text: str
    """The question's own words: the message's, or, where it has none, those of its first recording."""
    images: dict[str, bytes]
    """Pictures made ready for models, by digest."""
    files: tuple[Attached, ...]
    readings: tuple[str, ...] = ()
    """Under which names what was read is kept for a while."""
    notices: tuple[Notice, ...] = ()
    """What is to be said about them."""

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.images or self.files)


class _Problem(Exception):
    """An attachment cannot be read; the notice says why."""

    def __init__(self, key: str, **values: Value) -> None:
        super().__init__(key)
        self.notice = Notice(key, values)


class Attachments:
    """Reads what comes with messages."""

    def __init__(
        self,
        settings: ChatSettings,
        history: History,
        readings: Readings,
        transcriber: Transcriber,
        fetch: Fetch,
        download_limits: Mapping[Platform, int],
    ) -> None:
        """``download_limits`` are in bytes; 0: the platform has none of its own."""
        self._settings = settings
        self._history = history
        self._readings = readings
        self._transcriber = transcriber
        self._fetch = fetch
        self._download_limits = download_limits
        self._hearing = asyncio.Semaphore(HEARD_AT_ONCE)
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    async def fetch(self, conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        """A file as it is, of at most ``limit`` bytes. Raises OutboundError."""
        return await self._fetch(conversation, attachment, limit)

    async def read(self, message: Message, *, tokens: int, space: str, payer: Payer = NOBODY) -> Read:
        """Reads all of a message's attachments; ``tokens`` is the room that a prompt has for documents and the like,
        ``space`` in whose name models are asked, ``payer`` who pays for it. Raises StorageError.
        """
        if not message.attachments:
            return Read(message.text, {}, ())
        images, notices = await self._read_images(message)
        files: list[Attached] = []
        readings: list[str] = []
        for index in [i for i, a in enumerate(message.attachments) if a.kind is not AttachmentKind.IMAGE][:MAX_FILES]:
            try:
                file, said = await self._read_file(message, index, space, payer)
                files.append(file)
                readings.append(reading_id(message, index))
                notices += said
            except _Problem as problem:
                notices.append(problem.notice)
        notices += _said_of(message, files, self._settings.max_document_pages)
        text = message.text
        # One that is replied to holds someone else's words.
        own = any(a.kind in (AttachmentKind.AUDIO, AttachmentKind.VIDEO) and not a.quoted for a in message.attachments)
        if not text and own and (first := next((file for file in files if file.kind is Kind.RECORDING), None)):
            text = first.text[: self._settings.max_message_chars]
            files.remove(first)
        kept, is_cut = fitted(files, self._settings.max_document_chars, tokens)
        if is_cut:
            longest = max(kept, key=lambda file: len(file.text))
            notices.append(Notice("document_long", {"name": one_line(longest.name, LONGEST_NAME)}))
        return Read(text, images, kept, tuple(readings), tuple(_once(notices)))

    async def recall_images(
        self, conversation: ConversationKey, path: Path, images: Mapping[str, bytes]
    ) -> dict[str, bytes]:
        """The newest pictures on the path, those of earlier turns from where they are kept."""
        digests = [d for node in path.nodes if isinstance(node.said, Question) for d in node.said.images]
        wanted = digests[-self._settings.pictures_in_prompt :] if self._settings.pictures_in_prompt else []
        missing = [digest for digest in wanted if digest not in images]
        shown = {digest: images[digest] for digest in wanted if digest in images}
        if missing:
            for digest, kept in zip(missing, await self._history.get_images(conversation, missing), strict=True):
                if kept:
                    shown[digest] = base64.b64decode(kept)
        return shown

    # ---- pictures

    async def _read_images(self, message: Message) -> tuple[dict[str, bytes], list[Notice]]:
        """The pictures, made ready for models and kept for later turns; the first problem as a notice."""
        wanted = [a for a in message.attachments if a.kind is AttachmentKind.IMAGE]
        if not wanted:
            return {}, []
        from core.models.vision import ImageError, prepare_image

        images: dict[str, bytes] = {}
        notices: list[Notice] = []
        limit = self._limit(message, self._settings.max_image_bytes)
        most = self._settings.pictures_in_prompt or 1
        for attachment in wanted[:most]:
            try:
                if attachment.size > limit:
                    found, allowed = Amount.of_bytes(attachment.size), Amount.of_bytes(limit)
                    raise ImageError("image_too_large", "declared size", found=found, allowed=allowed)
                data = await prepare_image(await self._fetch(message.conversation, attachment, limit))
            except ImageError as error:
                notices.append(Notice(error.key, error.values))
                continue
            except OutboundError as error:
                log.warning("attachment not fetched", cause=error.detail, conversation=str(message.conversation))
                notices.append(Notice("file_gone"))
                continue
            digest = hashlib.sha256(data).hexdigest()[:24]
            images[digest] = data
            await self._history.put_image(message.conversation, digest, base64.b64encode(data).decode())
        left_out = [Notice("pictures_left_out", {"found": len(wanted), "allowed": most})] if len(wanted) > most else []
        return images, notices[:1] + left_out

    # ---- recordings and documents

    async def _read_file(
        self, message: Message, index: int, space: str, payer: Payer
    ) -> tuple[Attached, tuple[Notice, ...]]:
        """A file, and what is to be said of the budget that reading it was paid from. Raises _Problem."""
        attachment = message.attachments[index]
        is_recording = attachment.kind in (AttachmentKind.AUDIO, AttachmentKind.VIDEO)
        limit = (
            self._admit_recording(message, attachment) if is_recording else self._admit_document(message, attachment)
        )
        id = reading_id(message, index)
        if known := await self._readings.get(message.conversation, id):
            return known, ()
        said: tuple[Notice, ...] = ()
        async with self._hearing if is_recording else self._reading:
            data = await self._fetched(message, attachment, limit)
            if is_recording:
                read, said = await self._heard(attachment, data, space, payer)
            else:
                read = await self._document(attachment, data)
        await self._readings.put(message.conversation, id, read)
        return read, said

    def _admit_recording(self, message: Message, attachment: Attachment) -> int:
        """The bytes that it may have. Raises _Problem."""
        if not self._transcriber.is_set_up:
            raise _Problem("no_transcription")
        longest = self._settings.max_recording_seconds
        if attachment.seconds > longest:
            raise _Problem("recording_too_long", found=_minutes(attachment.seconds), allowed=_minutes(longest))
        return self._admitted(message, attachment, self._settings.max_recording_bytes)

    def _admit_document(self, message: Message, attachment: Attachment) -> int:
        if not form_of(attachment.name, attachment.mime):
            raise _Problem("file_unsupported")
        return self._admitted(message, attachment, self._settings.max_document_bytes)

    def _admitted(self, message: Message, attachment: Attachment, most: int) -> int:
        limit = self._limit(message, most)
        if attachment.size > limit:
            raise _Problem("file_too_large", found=Amount.of_bytes(attachment.size), allowed=Amount.of_bytes(limit))
        return limit

    def _limit(self, message: Message, most: int) -> int:
        return min(most, self._download_limits[message.conversation.platform] or most)

    async def _fetched(self, message: Message, attachment: Attachment, limit: int) -> bytes:
        try:
            return await self._fetch(message.conversation, attachment, limit)
        except OutboundError as error:
            log.warning("attachment not fetched", cause=error.detail, conversation=str(message.conversation))
            if error.fault is OutboundFault.REFUSED:
                found, allowed = Amount.of_bytes(limit, is_least=True), Amount.of_bytes(limit)
                raise _Problem("file_too_large", found=found, allowed=allowed) from None
            raise _Problem("file_gone") from None

    async def _heard(
        self, attachment: Attachment, data: bytes, space: str, payer: Payer
    ) -> tuple[Attached, tuple[Notice, ...]]:
        longest = self._settings.max_recording_seconds
        if not data:
            raise _Problem("nothing_heard")
        # What is declared is what the sender's program said.
        if (sounding := await asyncio.to_thread(length_of, data) or 0) > longest:
            raise _Problem("recording_too_long", found=_minutes(sounding), allowed=_minutes(longest))
        # Where nobody declares a length, its size is the safer guess of what it costs.
        seconds = max(attachment.seconds, sounding) if attachment.seconds else 0
        try:
            heard = await self._transcriber.hear(
                data, name=attachment.name, mime=attachment.mime, seconds=seconds, space=space, payer=payer
            )
        except (Busy, OverBudget, OwnKeyError) as error:
            notice = error.notice()
            raise _Problem(notice.key, **notice.values) from None
        except ModelError as error:
            log.warning("recording not transcribed", cause=str(error))
            if isinstance(error, RecordingTooLong):
                raise _Problem("recording_longer", allowed=_minutes(error.seconds or longest)) from None
            raise _Problem("not_heard") from None
        if not heard.text:
            raise _Problem("nothing_heard")
        name = attachment.name or "recording"
        return Attached(Kind.RECORDING, name, heard.text, language=heard.language), heard.notices

    async def _document(self, attachment: Attachment, data: bytes) -> Attached:
        name = attachment.name or "document"
        try:
            extract = await read_document(
                data,
                form_of(attachment.name, attachment.mime),
                max_pages=self._settings.max_document_pages,
                max_chars=self._settings.max_document_chars,
            )
        except DocumentError as error:
            raise _Problem(error.key, name=one_line(name, LONGEST_NAME)) from None
        return Attached(Kind.DOCUMENT, name, extract.text, extract.pages, extract.cut)


def _said_of(message: Message, files: Sequence[Attached], max_pages: int) -> list[Notice]:
    """What was heard, for the others in a group, and which documents were not read to their end."""
    notices: list[Notice] = []
    for file in files:
        if file.kind is Kind.RECORDING and not message.private:
            said = {"text": one_line(file.text, LONGEST_HEARD)}
            more = {"language": file.language} if file.language else {}
            notices.append(Notice("heard_in" if more else "heard", {**said, **more}))
        elif file.is_cut:
            name = one_line(file.name, LONGEST_NAME)
            if file.pages > max_pages:
                notices.append(Notice("document_pages", {"name": name, "read": max_pages, "pages": file.pages}))
            else:
                notices.append(Notice("document_long", {"name": name}))
    return notices


def _once(notices: Sequence[Notice]) -> list[Notice]:
    """Ten files of an album may all have the same trouble."""
    return [notice for index, notice in enumerate(notices) if notice not in notices[:index]]


def _minutes(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02}"
