"""Pure: what a browser sent -> Message, CommandCall or Deletion."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from bots.web_chat import ids, pictographs
from bots.web_chat.store import File, Role, StoredMessage, User
from core.commands.table import BY_NAME, meant
from core.message import (
    Attachment,
    AttachmentKind,
    Author,
    CommandCall,
    ConversationKey,
    Deletion,
    Message,
    Quote,
)

_TYPED = re.compile(r"/([a-z]{1,32})(?:\s+(.*))?", re.DOTALL)
_MARKS = re.compile(r"[*_`#>|~]+")
_KINDS = {"image": AttachmentKind.IMAGE, "audio": AttachmentKind.AUDIO, "video": AttachmentKind.VIDEO}
TITLE_CHARS = 60
MAX_QUOTED = 20_000
"""Characters of a message replied to that go with the reply. Models are shown less."""
WORDS_CHARS = 90
"""Of how that message begins, as a page shows it."""
BOT_NAME = "Parley"


def to_incoming(
    user: User,
    key: ConversationKey,
    text: str,
    *,
    message_id: str,
    language: str,
    now: float,
    files: Sequence[File] = (),
    about: StoredMessage | None = None,
) -> Message | CommandCall:
    """A typed text, in reply to ``about``. One that begins with a command's name is that command."""
    name, argument = typed_command(text)
    if name:
        call = to_call(user, key, name, message_id=message_id, argument=argument, language=language, now=now)
        return _replying(replace(call, attachments=tuple(map(_attachment, files))), user, about)
    message = Message(
        key,
        message_id,
        message_id,
        _author(user, language),
        text,
        now,
        private=True,
        attachments=tuple(map(_attachment, files)),
    )
    return _replying(message, user, about)


_Asked = TypeVar("_Asked", Message, CommandCall)


def _replying(asked: _Asked, user: User, about: StoredMessage | None) -> _Asked:
    """With the message that it replies to, and that one's files."""
    if about is None:
        return asked
    is_own = about.role is Role.QUESTION
    quote = Quote(
        about.id,
        user.name if is_own else BOT_NAME,
        about.text[:MAX_QUOTED],
        author_id=user.id if is_own else ids.BOT,
    )
    files = [replace(_attachment(file), quoted=True) for file in about.files]
    return replace(asked, reply_to=about.id, quote=quote, attachments=(*asked.attachments, *files))


def words_of(message: StoredMessage) -> str:
    """How a message begins, for who replies to it: one line without Markdown's marks."""
    told = [file.description or file.name for file in message.files]
    words = _MARKS.sub("", message.text) or (message.quiz.question if message.quiz else "") or ", ".join(told)
    line = " ".join(pictographs.parted(words[: 4 * WORDS_CHARS].strip())[1].split())
    return line if len(line) <= WORDS_CHARS else f"{line[: WORDS_CHARS - 1]}…"


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
    about: StoredMessage | None = None,
) -> Message:
    """A new text for a question that was asked before."""
    message = Message(
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
    return _replying(message, user, about)


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
