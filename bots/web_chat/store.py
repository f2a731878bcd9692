"""What the web chat keeps: people, their conversations as they are shown, uploads, one-time codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol


class Role(StrEnum):
    QUESTION = "question"
    ANSWER = "answer"
    NOTICE = "notice"


class State(StrEnum):
    SENDING = "sending"
    """A question that may not have reached the mailbox."""
    SENT = "sent"
    STREAMING = "streaming"
    """An answer to which text may still be added."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a cookie. The owner runs this Parley and may invite others."""

    id: str
    name: str
    is_owner: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    id: str
    title: str
    used_at: float
    """Unix seconds."""
    model: str = ""
    """The model chosen for it, or empty."""


@dataclass(frozen=True, slots=True)
class File:
    """A picture in a question or a file with an answer; its bytes are a blob."""

    blob: str
    name: str
    mime: str
    size: int
    description: str = ""
    """What a picture of an answer shows, in words."""
    version: str = ""
    """Changes with the bytes, where others may take their place."""


@dataclass(frozen=True, slots=True)
class Press:
    """A button under an answer."""

    label: str
    command: str
    row: int = 0
    """Buttons of one number stand side by side."""
    grave: bool = False
    """What it does cannot be taken back."""


@dataclass(frozen=True, slots=True)
class Quiz:
    """A question with one right answer. Its texts are plain."""

    question: str
    options: tuple[str, ...]
    correct: int
    """Which of the options is right, counted from 0. No page tells it before one was chosen."""
    explanation: str = ""
    chosen: int = -1
    """What was answered; -1: nothing yet. The first answer counts."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message as it is shown."""

    id: str
    role: Role
    text: str
    """Markdown of an answer, plain text of a question."""
    state: State
    files: tuple[File, ...] = ()
    buttons: tuple[Press, ...] = ()
    ending: str = ""
    """How an answer ended: a value of ``core.parts.Ending``."""
    edited: bool = False
    quiz: Quiz | None = None
    reply_to: str = ""
    """Id of the message that a question is about; else empty."""
    reply_words: str = ""
    """How that message begins."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> StoredMessage:
        values: dict[str, Any] = json.loads(text)
        values["role"] = Role(values["role"])
        values["state"] = State(values["state"])
        values["files"] = tuple(File(**file) for file in values["files"])
        values["buttons"] = tuple(Press(**button) for button in values["buttons"])
        if quiz := values.get("quiz"):
            quiz["options"] = tuple(quiz["options"])
            values["quiz"] = Quiz(**quiz)
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Change:
    """A message as it is now; None: it was removed."""

    id: str
    message: StoredMessage | None


@dataclass(frozen=True, slots=True)
class Changes:
    revision: int
    """What to ask for the next changes after."""
    items: Sequence[Change]


class Watch(Protocol):
    """Says when something may have changed in one conversation."""

    async def changed(self, timeout: float) -> bool:
        """Waits at most ``timeout`` seconds; False when nothing was heard."""
        ...

    @property
    def is_closed(self) -> bool:
        """The process is stopping."""
        ...


class WebStore(Protocol):
    """Every method raises ``core.errors.StorageError`` when the server stays away."""

    async def now(self) -> float:
        """Unix seconds by a clock that all processes share: messages are shown in its order."""
        ...

    async def secret(self) -> bytes:
        """The key that cookies are signed with; made at the first call ever."""
        ...

    async def owner(self) -> User: ...

    async def user(self, user: str) -> User | None:
        """Also notes the visit."""
        ...

    async def add_user(self, name: str) -> User: ...

    async def put_code(self, digest: str, user: str, seconds: int) -> None:
        """Keeps a one-time code; an empty ``user`` lets somebody new in."""
        ...

    async def take_code(self, digest: str) -> str | None:
        """The code's user, once."""
        ...

    async def conversations(self, user: str) -> list[Conversation]:
        """Newest first."""
        ...

    async def conversation(self, user: str, conversation: str) -> Conversation | None: ...

    async def save_conversation(self, user: str, conversation: Conversation) -> None: ...

    async def remove_conversation(self, user: str, conversation: str) -> list[str]:
        """Ids of the messages that it had."""
        ...

    async def save(self, user: str, conversation: str, message: StoredMessage) -> bool:
        """Keeps a message and tells the browsers; False when the conversation is gone."""
        ...

    async def change(
        self, user: str, conversation: str, message: str, how: Callable[[StoredMessage], StoredMessage | None]
    ) -> bool:
        """Keeps what ``how`` makes of a message as it is now, asked anew where it changes meanwhile; None keeps it as
        it is. Tells whether it was changed."""
        ...

    async def remove(self, user: str, conversation: str, message: str) -> None: ...

    async def message(self, user: str, conversation: str, message: str) -> StoredMessage | None: ...

    async def page(self, user: str, conversation: str, before: str, count: int) -> Changes:
        """The last ``count`` messages, or the last before a message id, in the order they are shown in."""
        ...

    async def changes(self, user: str, conversation: str, after: int) -> Changes: ...

    async def put_blob(self, user: str, file: File, data: bytes) -> None: ...

    async def blob(self, user: str, blob: str) -> tuple[File, bytes] | None: ...

    async def files(self, user: str, blobs: Sequence[str]) -> list[File]:
        """Those of the blobs that are the user's and still kept."""
        ...

    async def claim(self, user: str, ticket: str, value: str) -> str:
        """``value``, or what an earlier claim with the same ticket gave."""
        ...

    def watch(self, user: str, conversation: str) -> AbstractAsyncContextManager[Watch]: ...
