"""Answers for the web: kept as Markdown in the store, from where every open browser gets them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from bots.adapter import Button, Capabilities, Page, Slot, Target
from bots.web_chat import ids
from bots.web_chat.store import File, Press, Quiz, Role, State, StoredMessage, WebStore
from core.errors import OutboundError, OutboundFault, StorageError
from core.message import Attachment, ConversationKey, Platform
from core.parts import Activity, Media, Poll

MAX_TEXT = 100_000
"""Characters in one page. A browser shows more, but a page is rendered anew at every edit."""


MAX_ALBUM = 10


def presses_of(buttons: Sequence[Button]) -> tuple[Press, ...]:
    """Buttons as a message keeps them."""
    return tuple(Press(button.label, button.command, button.row, button.grave) for button in buttons)


class WebOutbound:
    """Implements Outbound, AlbumOutbound and PollOutbound. A message's id follows from its question and number: sent
    again, it is the same message."""

    platform = Platform.WEB
    capabilities = Capabilities(
        max_text=MAX_TEXT,
        edit_interval=0.2,
        group_edit_interval=0.2,
        buttons=True,
        menus=True,
        polls=True,
        quizzes=True,
        votes=True,
        album=MAX_ALBUM,
        album_is_one=True,
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
        message_id = ids.answer_id(await self._asked(target, slot), slot.number)
        await self._show(target, message_id, caption, [Media(name, mime, data, description)])
        return message_id

    async def send_album(self, target: Target, pictures: Sequence[Media], slot: Slot, caption: Page) -> list[str]:
        message_id = ids.answer_id(await self._asked(target, slot), slot.number)
        await self._show(target, message_id, caption, pictures)
        return [message_id]

    async def send_poll(self, target: Target, poll: Poll, slot: Slot) -> str:
        message_id = ids.answer_id(await self._asked(target, slot), slot.number)
        quiz = Quiz(poll.question, poll.options, poll.correct, poll.explanation)
        role = Role.NOTICE if ids.is_notice(message_id) else Role.ANSWER
        await self._save(target, StoredMessage(message_id, role, "", State.DONE, quiz=quiz))
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

    async def _show(self, target: Target, message_id: str, page: Page, attached: Sequence[Media] = ()) -> None:
        if ids.is_silent(message_id):
            return
        is_notice = ids.is_notice(message_id)
        message = StoredMessage(
            message_id,
            Role.NOTICE if is_notice else Role.ANSWER,
            page.text,
            State.DONE if is_notice or attached or page.ending else State.STREAMING,
            await self._files(target, message_id, (*page.pictures, *attached)),
            presses_of(page.buttons),
            page.ending,
        )
        await self._save(target, message)

    async def _files(self, target: Target, message_id: str, media: Sequence[Media]) -> tuple[File, ...]:
        """The files kept as blobs. What takes a file's place in its message, as a picture does a preview's, takes its
        blob's place."""
        user, _ = ids.parts_of(target.conversation)
        files: list[File] = []
        for number, one in enumerate(media):
            version = hashlib.sha256(one.data).hexdigest()[:12]
            blob = ids.name_of(f"{message_id}/{number}")
            files.append(File(blob, one.name, one.mime, len(one.data), one.description, version))
            try:
                await self._store.put_blob(user, files[-1], one.data)
            except StorageError as error:
                raise OutboundError(OutboundFault.TRANSIENT, str(error)) from error
        return tuple(files)

    async def _save(self, target: Target, message: StoredMessage) -> None:
        user, conversation = ids.parts_of(target.conversation)
        try:
            kept = await self._store.save(user, conversation, message)
        except StorageError as error:
            raise OutboundError(OutboundFault.TRANSIENT, str(error)) from error
        if not kept:
            raise OutboundError(OutboundFault.FORBIDDEN, "the conversation was deleted")
