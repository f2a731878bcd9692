"""Answers for the web: kept as Markdown in the store, from where every open browser gets them."""

from __future__ import annotations

from collections.abc import Sequence

from bots.adapter import Capabilities, Page, Slot, Target
from bots.web_chat import ids
from bots.web_chat.store import File, Press, Role, State, StoredMessage, WebStore
from core.errors import OutboundError, OutboundFault, StorageError
from core.message import Attachment, ConversationKey, Platform
from core.parts import Activity

MAX_TEXT = 100_000
"""Characters in one page. A browser shows more, but a page is rendered anew at every edit."""


class WebOutbound:
    """Implements Outbound. A message's id follows from its question and number: sent again, it is the same message."""

    platform = Platform.WEB
    capabilities = Capabilities(
        max_text=MAX_TEXT,
        edit_interval=0.2,
        group_edit_interval=0.2,
        buttons=True,
        max_file=20_000_000,
        idempotent_sends=True,
        endings=True,
    )

    def __init__(self, store: WebStore) -> None:
        self._store = store

    def format(self, markdown: str, *, simple: bool = False) -> Page:
        return Page(markdown, len(markdown))

    def mark(self, target: Target) -> str:
        return ""

    async def send(self, target: Target, page: Page, slot: Slot) -> str:
        message_id = ids.answer_id(await self._asked(target, slot), slot.number)
        await self._show(target, message_id, page)
        return message_id

    async def find(self, target: Target, page: Page, slot: Slot, known: Sequence[str]) -> str | None:
        message_id = ids.answer_id(await self._asked(target, slot), slot.number)
        user, conversation = ids.parts_of(target.conversation)
        try:
            found = await self._store.message(user, conversation, message_id)
        except StorageError as error:
            raise OutboundError(OutboundFault.TRANSIENT, str(error)) from error
        return message_id if found is not None and message_id not in known else None

    async def edit(self, target: Target, message_id: str, page: Page) -> None:
        await self._show(target, message_id, page)

    async def draft(self, target: Target, slot: Slot, page: Page, *, stoppable: bool = True) -> None:
        await self.send(target, page, slot)

    async def typing(self, target: Target, activity: Activity = Activity.TEXT) -> None:
        """Nothing to do: a question without an answer shows by itself that one is being made."""

    async def send_file(
        self, target: Target, name: str, mime: str, data: bytes, caption: Page, slot: Slot, *, description: str = ""
    ) -> str:
        user, _ = ids.parts_of(target.conversation)
        message_id = ids.answer_id(await self._asked(target, slot), slot.number)
        file = File(ids.name_of(message_id), name, mime, len(data), description)
        try:
            await self._store.put_blob(user, file, data)
        except StorageError as error:
            raise OutboundError(OutboundFault.TRANSIENT, str(error)) from error
        await self._show(target, message_id, caption, (file,))
        return message_id

    async def delete(self, target: Target, message_id: str) -> None:
        user, conversation = ids.parts_of(target.conversation)
        try:
            await self._store.remove(user, conversation, message_id)
        except StorageError as error:
            raise OutboundError(OutboundFault.TRANSIENT, str(error)) from error

    async def fetch(self, conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        if attachment.size > limit:
            raise OutboundError(OutboundFault.REFUSED, f"the file has {attachment.size} bytes")
        user, _ = ids.parts_of(conversation)
        try:
            found = await self._store.blob(user, attachment.ref)
        except StorageError as error:
            raise OutboundError(OutboundFault.TRANSIENT, str(error)) from error
        if found is None:
            raise OutboundError(OutboundFault.GONE, "the upload is no longer kept")
        if len(found[1]) > limit:
            raise OutboundError(OutboundFault.REFUSED, f"the file has {len(found[1])} bytes")
        return found[1]

    async def _asked(self, target: Target, slot: Slot) -> str:
        """The id that the answer stands under."""
        asked = target.asked or target.question
        if ids.is_message_id(asked):
            return ids.question_of(asked)
        user, _ = ids.parts_of(target.conversation)
        kind = ids.COMMAND if target.ephemeral else ids.ASKING
        try:
            made = ids.new_message_id(kind, await self._store.now())
            return await self._store.claim(user, ids.name_of(slot.turn), made)
        except StorageError as error:
            raise OutboundError(OutboundFault.TRANSIENT, str(error)) from error

    async def _show(self, target: Target, message_id: str, page: Page, files: tuple[File, ...] = ()) -> None:
        if ids.is_silent(message_id):
            return
        user, conversation = ids.parts_of(target.conversation)
        is_notice = ids.is_notice(message_id)
        message = StoredMessage(
            message_id,
            Role.NOTICE if is_notice else Role.ANSWER,
            page.text,
            State.DONE if is_notice or files or page.ending else State.STREAMING,
            files,
            tuple(Press(button.label, button.command) for button in page.buttons),
            page.ending,
        )
        try:
            kept = await self._store.save(user, conversation, message)
        except StorageError as error:
            raise OutboundError(OutboundFault.TRANSIENT, str(error)) from error
        if not kept:
            raise OutboundError(OutboundFault.FORBIDDEN, "the conversation was deleted")
