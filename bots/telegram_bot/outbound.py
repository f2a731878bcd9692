"""Shows answers on Telegram: sends, edits, previews and files, by ids only."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import structlog
from telegram import InputFile
from telegram.error import BadRequest, ChatMigrated, InvalidToken, TelegramError

from bots.adapter import Button, Capabilities, Page, Slot, Target
from bots.telegram_bot import finding, utf16
from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import is_about_formatting, is_not_modified, translated
from bots.telegram_bot.format import plain, to_page
from bots.telegram_bot.seen import Seen
from bots.telegram_bot.translate import GENERAL
from core.errors import OutboundError, OutboundFault, StorageError
from core.message import Attachment, ConversationKey, Platform

log = structlog.get_logger()

MAX_CAPTION = 1024
MAX_PHOTO_BYTES = 10_000_000
MAX_CALLBACK_BYTES = 64
MAX_MESSAGE_ID = 2**31 - 1
BUTTONS_IN_ROW = 3
_PHOTOS = frozenset(("image/jpeg", "image/png", "image/webp"))


class TelegramOutbound:
    """The sending side of one bot. ``seen`` is fed by the adapter too, where both are in one process."""

    platform = Platform.TELEGRAM
    capabilities = Capabilities(
        # The server counts code points after entities; UTF-16 units are never fewer.
        max_text=4096,
        edit_interval=1.0,
        # 20 messages and edits a minute in a group.
        group_edit_interval=3.0,
        drafts=True,
        typing_lifetime=5.0,
        buttons=True,
        max_file=50_000_000,
    )

    def __init__(self, api: Api, seen: Seen) -> None:
        self._api = api
        self._seen = seen

    def format(self, markdown: str) -> Page:
        return to_page(markdown)

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
        fields = {"chat_id": int(target.conversation.chat), "message_id": int(message_id)}
        await self._shown("editmessagetext", fields, page)

    async def draft(self, target: Target, slot: Slot, page: Page) -> None:
        fields = _place(target) | {"draft_id": _draft_id(slot)}
        if page.text:
            fields |= _content(page)
        try:
            await self._api.call("sendmessagedraft", fields)
        except InvalidToken as error:
            # A Bot API server older than drafts (December 2025) says 404, as it does of a wrong token.
            raise OutboundError(OutboundFault.REFUSED, str(error)) from None
        except TelegramError as error:
            raise translated(error) from None

    async def typing(self, target: Target) -> None:
        await self._call("sendchataction", _place(target) | {"action": "typing"})

    async def send_file(self, target: Target, name: str, mime: str, data: bytes, caption: Page, slot: Slot) -> str:
        """Pictures as photos; what the server does not take as one goes as a document, as all else does."""
        if len(data) > self.capabilities.max_file:
            raise OutboundError(OutboundFault.REFUSED, f"{name} has {len(data)} bytes")
        fields = _place(target) | _reply(target)
        if caption.text:
            shown = _cut(caption)
            fields |= {"caption": shown.text, "caption_entities": list(shown.entities)}
        fields |= _keyboard(caption.buttons)
        file = InputFile(data, filename=name)
        if mime in _PHOTOS and len(data) <= MAX_PHOTO_BYTES:
            try:
                return await self._created(target, slot, await self._call("sendphoto", fields | {"photo": file}))
            except OutboundError as error:
                if error.fault is not OutboundFault.REFUSED:
                    raise
        return await self._created(target, slot, await self._call("senddocument", fields | {"document": file}))

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
        """Sends or edits; once more without formatting where the server refuses that."""
        content = fields | _content(page) | {"link_preview_options": {"is_disabled": True}}
        content |= _keyboard(page.buttons)
        try:
            return await self._call(method, content, formatted=bool(page.entities))
        except _Unformatted:
            return await self._shown(method, fields, plain(page))

    async def _call(self, method: str, fields: dict[str, Any], *, formatted: bool = False) -> Any:
        try:
            return await self._api.call(method, fields)
        except ChatMigrated as error:
            if fields["chat_id"] == error.new_chat_id:
                raise translated(error) from None
            moved = {key: value for key, value in fields.items() if key != "reply_parameters"}
            return await self._call(method, moved | {"chat_id": error.new_chat_id}, formatted=formatted)
        except TelegramError as error:
            if is_not_modified(error):
                return None
            if formatted and is_about_formatting(error):
                raise _Unformatted from None
            raise translated(error) from None


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


def _cut(caption: Page) -> Page:
    if caption.length <= MAX_CAPTION:
        return caption
    kept = [e for e in caption.entities if e["offset"] + e["length"] <= MAX_CAPTION]
    return Page(utf16.cut(caption.text, 0, MAX_CAPTION), MAX_CAPTION, tuple(kept), caption.buttons)


def _keyboard(buttons: tuple[Button, ...]) -> dict[str, Any]:
    """A button whose command is too long for Telegram is left out: the command can still be typed."""
    fitting = [b for b in buttons if len(b.command.encode("utf-8")) <= MAX_CALLBACK_BYTES]
    cells = [{"text": button.label, "callback_data": button.command} for button in fitting]
    rows = [cells[at : at + BUTTONS_IN_ROW] for at in range(0, len(cells), BUTTONS_IN_ROW)]
    return {"reply_markup": {"inline_keyboard": rows}} if rows else {}


def _draft_id(slot: Slot) -> int:
    """The same for every preview of one message, so that it grows in place; never 0, which is refused."""
    return zlib.crc32(f"{slot.turn}:{slot.number}".encode()) & 0x7FFFFFFF or 1
