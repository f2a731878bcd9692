"""Shows answers on Telegram: sends, edits, previews and files, by ids only."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import structlog
from telegram.error import BadRequest, ChatMigrated, InvalidToken, TelegramError

from bots.adapter import Capabilities, Page, Slot, Target
from bots.telegram_bot import finding, polls
from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import is_about_formatting, is_not_modified, translated
from bots.telegram_bot.format import MAX_TEXT, plain, to_page, to_rich_page
from bots.telegram_bot.keyboard import reply_markup
from bots.telegram_bot.media import MAX_ALBUM, MAX_DOWNLOAD, MAX_LOCAL_UPLOAD, MAX_UPLOAD, Ids, MediaCalls
from bots.telegram_bot.places import GENERAL, message_fields
from bots.telegram_bot.rich import STOPPABLE, Fields, RichCalls
from bots.telegram_bot.seen import Seen
from bots.telegram_bot.transport import CALL_SECONDS
from core.errors import OutboundError, OutboundFault, StorageError
from core.message import Attachment, ConversationKey, Platform
from core.parts import Activity, Media, Poll

log = structlog.get_logger()

MAX_MESSAGE_ID = 2**31 - 1
NO_CAPTION = Page("", 0)
PREVIEW_SECONDS = 5.0
"""A preview or typing signal that takes longer is given up: the message that follows would wait for it."""
_ACTIONS = {
    Activity.TEXT: "typing",
    Activity.PHOTO: "upload_photo",
    Activity.VIDEO: "upload_video",
    Activity.VOICE: "record_voice",
    Activity.FILE: "upload_document",
}


Moved = Callable[[str, str], Awaitable[None]]
"""Notes that a group has become a supergroup: its id and the new one. Raises StorageError."""


class TelegramOutbound:
    """The sending side of one bot. ``seen`` is fed by the adapter too, where both are in one process."""

    platform = Platform.TELEGRAM
    capabilities = Capabilities(
        max_text=MAX_TEXT,
        edit_interval=1.0,
        # 20 messages and edits a minute in a group.
        group_edit_interval=3.0,
        drafts=True,
        draft_lifetime=30.0,
        rich=True,
        typing_lifetime=5.0,
        activities=True,
        buttons=True,
        menus=True,
        max_file=MAX_UPLOAD,
        max_download=MAX_DOWNLOAD,
        album=MAX_ALBUM,
        polls=True,
        quizzes=True,
        spoilers=True,
    )

    def __init__(
        self,
        api: Api,
        seen: Seen,
        rich: Literal["auto", "always", "off"] = "auto",
        ids: Ids | None = None,
        moved: Moved | None = None,
    ) -> None:
        self._api = api
        self._moved = moved
        self._seen = seen
        self._rich = RichCalls(self._call_raw)
        self._always_rich = rich == "always"
        self._media = MediaCalls(self._call, ids, api.bot)
        self.capabilities = replace(self.capabilities, rich=rich != "off")
        if api.is_local:
            self.capabilities = replace(self.capabilities, max_file=MAX_LOCAL_UPLOAD, max_download=0)

    def format(self, markdown: str, *, simple: bool = False) -> Page:
        return to_page(markdown) if simple else to_rich_page(markdown, always=self._always_rich)

    def mark(self, target: Target) -> str:
        """The highest message id known for the chat's counter; the question's own where nothing else was seen."""
        chat = target.conversation.chat
        self._seen.reached(chat, _message_id(target.question) or _message_id(target.asked))
        highest = self._seen.highest(chat)
        return str(highest) if highest else ""

    async def send(self, target: Target, page: Page, slot: Slot) -> str:
        fields = _place(target) | _reply(target)
        return await self._created(target, slot, await self._shown("sendmessage", fields, page))

    async def find(self, target: Target, page: Page, slot: Slot, known: Sequence[str]) -> str | None:
        """See ``finding``. ``known`` ones are older than the message looked for, like the slot's mark.

        Where several answers of a dead worker cannot be told apart, their messages are deleted: all are sent anew.
        """
        after = max(_message_id(text) for text in (slot.after, target.question, target.asked, *known))
        if not after:
            return None
        search = finding.Search(self._api, self._seen, target.conversation, slot.turn, after, frozenset(known))
        try:
            found = await search.run()
        except TelegramError as error:
            raise translated(error) from None
        except StorageError as error:
            raise OutboundError(OutboundFault.TRANSIENT, str(error)) from None
        for stray in found.strays:
            log.info("telegram: deleting a message whose answer is not known", chat=target.conversation.chat)
            await self.delete(target, str(stray))
        if found.message is None:
            return None
        self._seen.sent(target.conversation.chat, found.message, slot.turn)
        return str(found.message)

    async def edit(self, target: Target, message_id: str, page: Page) -> None:
        await self._shown("editmessagetext", message_fields(target.conversation, message_id), page)

    async def draft(self, target: Target, slot: Slot, page: Page, *, stoppable: bool = True) -> None:
        fields = _place(target) | {"draft_id": _draft_id(slot)} | (STOPPABLE if stoppable else {})
        if page.rich:
            with self._remembering():
                await self._rich.draft(fields, page, PREVIEW_SECONDS)
            return
        if page.text:
            fields |= _content(page)
        try:
            await self._api.call("sendmessagedraft", fields, PREVIEW_SECONDS)
        except InvalidToken as error:
            # A Bot API server older than drafts (December 2025) says 404, as it does of a wrong token.
            self.capabilities = replace(self.capabilities, drafts=False)
            raise OutboundError(OutboundFault.REFUSED, str(error)) from None
        except TelegramError as error:
            raise translated(error) from None

    async def typing(self, target: Target, activity: Activity = Activity.TEXT) -> None:
        place = _place(target)
        if target.conversation.thread:
            # The general topic, which takes no message by its number, shows no action without it.
            place["message_thread_id"] = int(target.conversation.thread)
        await self._call("sendchataction", place | {"action": _ACTIONS[activity]}, seconds=PREVIEW_SECONDS)

    async def send_file(
        self, target: Target, name: str, mime: str, data: bytes, caption: Page, slot: Slot, *, description: str = ""
    ) -> str:
        """Telegram has no place for a picture's description."""
        media = Media(name, mime, data)
        if len(data) > self.capabilities.max_file:
            raise OutboundError(OutboundFault.REFUSED, f"{name} has {len(data)} bytes")
        message = await self._media.send(_place(target) | _reply(target), media, caption)
        return await self._created(target, slot, message)

    async def send_album(
        self, target: Target, pictures: Sequence[Media], slot: Slot, caption: Page = NO_CAPTION
    ) -> list[str]:
        messages = await self._media.send_album(_place(target) | _reply(target), pictures, caption)
        return [await self._created(target, slot, message) for message in messages]

    async def send_poll(self, target: Target, poll: Poll, slot: Slot) -> str:
        message = await self._call("sendpoll", _place(target) | _reply(target) | polls.fields_of(poll))
        return await self._created(target, slot, message)

    async def delete(self, target: Target, message_id: str) -> None:
        try:
            await self._call("deletemessage", {"chat_id": int(target.conversation.chat), "message_id": int(message_id)})
        except OutboundError as error:
            if error.fault is not OutboundFault.GONE:
                raise

    async def fetch(self, conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        if attachment.size > limit:
            raise OutboundError(OutboundFault.REFUSED, f"{attachment.size} bytes, at most {limit}")
        try:
            file = await self._api.call("getfile", {"file_id": attachment.ref})
            if int(file.get("file_size") or 0) > limit:
                raise OutboundError(OutboundFault.REFUSED, f"{file['file_size']} bytes, at most {limit}")
            if not file.get("file_path"):
                raise OutboundError(OutboundFault.GONE, "the file has no path")
            return await self._api.download(file["file_path"], limit)
        except BadRequest as error:
            fault = OutboundFault.REFUSED if "too big" in str(error).lower() else OutboundFault.GONE
            raise OutboundError(fault, str(error)) from None
        except TelegramError as error:
            raise translated(error) from None

    async def _created(self, target: Target, slot: Slot, message: Any) -> str:
        message_id = int(message["message_id"])
        self._seen.sent(target.conversation.chat, message_id, slot.turn)
        if target.conversation.thread:
            # Topics share a chat: before it is recorded here, who looks for another topic's message has to know.
            await self._seen.tell()
        return str(message_id)

    async def _shown(self, method: str, fields: dict[str, Any], page: Page) -> Any:
        """Sends or edits; text once more without formatting where the server refuses that."""
        if page.rich:
            with self._remembering():
                show = self._rich.send if method == "sendmessage" else self._rich.edit
                return await show(fields | reply_markup(page.buttons), page)
        content = fields | _content(page) | {"link_preview_options": {"is_disabled": True}}
        content |= reply_markup(page.buttons)
        try:
            return await self._call(method, content, formatted=bool(page.entities))
        except _Unformatted:
            return await self._shown(method, fields, plain(page))

    async def _call(
        self, method: str, fields: Fields, *, formatted: bool = False, seconds: float = CALL_SECONDS
    ) -> Any:
        try:
            return await self._call_raw(method, fields, seconds)
        except TelegramError as error:
            if is_not_modified(error):
                return None
            if formatted and is_about_formatting(error):
                raise _Unformatted from None
            raise translated(error) from None

    async def _call_raw(self, method: str, fields: Fields, seconds: float = CALL_SECONDS, /) -> Any:
        """Raises TelegramError. That a group has become a supergroup is noted first."""
        try:
            return await self._api.call(method, fields, seconds)
        except ChatMigrated as error:
            if self._moved is not None:
                try:
                    await self._moved(str(fields["chat_id"]), str(error.new_chat_id))
                except StorageError as away:
                    # Tried again, until it is noted.
                    raise TelegramError(str(away)) from None
            raise

    @contextmanager
    def _remembering(self) -> Generator[None]:
        """Answers that begin after a server has refused rich messages are formatted as text from the start."""
        try:
            yield
        finally:
            if not self._rich.known and self.capabilities.rich:
                self.capabilities = replace(self.capabilities, rich=False)


class _Unformatted(Exception):
    """The server refused the entities of a text."""


def _message_id(text: str) -> int:
    return int(text) if text.isdecimal() and int(text) <= MAX_MESSAGE_ID else 0


def _place(target: Target) -> dict[str, Any]:
    place: dict[str, Any] = {"chat_id": int(target.conversation.chat)}
    thread = target.conversation.thread
    if thread and (thread != GENERAL or target.private):
        place["message_thread_id"] = int(thread)
    return place


def _reply(target: Target) -> dict[str, Any]:
    """In groups answers name their question; in a private chat that would only repeat it."""
    question = _message_id(target.question)
    if target.private or not question:
        return {}
    return {"reply_parameters": {"message_id": question, "allow_sending_without_reply": True}}


def _content(page: Page) -> dict[str, Any]:
    return {"text": page.text, "entities": list(page.entities)} if page.entities else {"text": page.text}


def _draft_id(slot: Slot) -> int:
    """The same for every preview of one message, so that it grows in place; never 0, which is refused."""
    return zlib.crc32(f"{slot.turn}:{slot.number}".encode()) & 0x7FFFFFFF or 1
