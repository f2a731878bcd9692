"""Pure: what a browser sent -> Message, CommandCall or Deletion."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from bots.web_chat import ids
from bots.web_chat.store import File, User
from core.commands.table import BY_NAME, meant
from core.message import (
    Attachment,
    AttachmentKind,
    Author,
    CommandCall,
    ConversationKey,
    Deletion,
    Message,
)

_TYPED = re.compile(r"/([a-z]{1,32})(?:\s+(.*))?", re.DOTALL)
_KINDS = {"image": AttachmentKind.IMAGE, "audio": AttachmentKind.AUDIO, "video": AttachmentKind.VIDEO}
TITLE_CHARS = 60


def to_incoming(
    user: User,
    key: ConversationKey,
    text: str,
    *,
    message_id: str,
    language: str,
    now: float,
    files: Sequence[File] = (),
) -> Message | CommandCall:
    """A typed text. One that begins with a command's name is that command."""
    name, argument = typed_command(text)
    if name:
        call = to_call(user, key, name, message_id=message_id, argument=argument, language=language, now=now)
        return replace(call, attachments=tuple(map(_attachment, files)))
    return Message(
        key,
        message_id,
        message_id,
        _author(user, language),
        text,
        now,
        private=True,
        attachments=tuple(map(_attachment, files)),
    )


def _attachment(file: File) -> Attachment:
    kind = _KINDS.get(file.mime.partition("/")[0], AttachmentKind.DOCUMENT)
    return Attachment(kind, file.blob, file.name, file.mime, file.size)


def to_edit(
    user: User,
    key: ConversationKey,
    text: str,
    *,
    message_id: str,
    update: str,
    language: str,
    now: float,
    files: Sequence[File] = (),
) -> Message:
    """A new text for a question that was asked before."""
    return Message(
        key,
        message_id,
        update,
        _author(user, language),
        text,
        now,
        private=True,
        attachments=tuple(map(_attachment, files)),
        edited=True,
    )


def to_call(
    user: User,
    key: ConversationKey,
    name: str,
    *,
    message_id: str,
    language: str,
    now: float,
    argument: str = "",
    reply_to: str = "",
) -> CommandCall:
    """A typed command or a pressed button."""
    return CommandCall(
        key,
        message_id,
        message_id,
        _author(user, language),
        name,
        {"text": argument} if argument else {},
        now,
        private=True,
        reply_to=reply_to,
    )


def to_deletion(key: ConversationKey, message_ids: Sequence[str]) -> Deletion:
    return Deletion(key, tuple(message_ids), ids.new_message_id(ids.COMMAND))


def typed_command(text: str) -> tuple[str, str]:
    """Name and argument; an empty name when the text is no command (a path like ``/etc`` is none)."""
    found = _TYPED.fullmatch(text.strip())
    if found is None or found[1] not in BY_NAME:
        return "", ""
    return meant(found[1], (found[2] or "").strip())


def kind_of(command: str) -> str:
    """The kind of id that a command's call gets: whether it is answered like a question."""
    if not command:
        return ids.QUESTION
    row = BY_NAME.get(command)
    return ids.ASKING if row is not None and row.run is None else ids.COMMAND


def title_of(text: str, fallback: str) -> str:
    """A conversation's title from its first message: one line, cut at a word."""
    line = " ".join(text.split())
    if len(line) <= TITLE_CHARS:
        return line or fallback
    cut = line[:TITLE_CHARS].rsplit(" ", 1)[0]
    return f"{cut if len(cut) > TITLE_CHARS // 2 else line[:TITLE_CHARS]}…"


def _author(user: User, language: str) -> Author:
    return Author(user.id, user.name, language=language, is_owner=user.is_owner)
