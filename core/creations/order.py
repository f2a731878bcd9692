"""What somebody asked to have made, as it waits for its maker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from core.message import ConversationKey
from core.models.paying import NOBODY, Payer
from core.parts import Part
from core.settings import Queue

MAX_PREVIEW_BYTES = 2_000_000
"""A larger preview is not shown: it is written twice a second."""


@dataclass(frozen=True, slots=True)
class Order:
    """Something to be made. All of it is JSON in Redis, so no secret is in it."""

    id: str
    """The turn's id, with a number behind it where a turn makes several things: asked for twice, it is made once."""
    kind: str
    """The maker's name."""
    request: Mapping[str, Any]
    """What its maker needs to know, as JSON has it."""
    conversation: ConversationKey
    account: str
    """Who asked (``core.people.identity.account_of``)."""
    name: str = ""
    """What they are called."""
    language: str = ""
    """Of what Parley itself says."""
    space: str = ""
    """``core.people.spaces.space_id``; empty in private chats."""
    share: str = ""
    """In whose name it stands in line (:attr:`core.conversation.turn.Turn.share`)."""
    private: bool = False
    """A one-to-one chat."""
    question: str = ""
    """Message id of what asked for it, where that is a message that can be replied to."""
    label: str = ""
    """What labels of files call it, which may go anywhere: chosen by chance, where the id names the conversation."""

    def piece(self, number: int = 0) -> str:
        """Names a piece of it for :class:`core.models.once.Once`, and tells nobody anything else."""
        return sha256(f"{self.id} {self.label} {number}".encode()).hexdigest()


async def _forget(text: str) -> None:
    """Where nothing is kept, nothing is remembered."""


async def _drop(name: str, data: bytes) -> bool:
    return False


async def _find_nothing(name: str) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True)
class Commission:
    """An order in its maker's hands."""

    order: Order
    inputs: tuple[bytes, ...] = ()
    """The files that came with it."""
    payer: Payer = field(default=NOBODY, repr=False)
    remembered: str = ""
    """What an earlier run of it remembered, which broke off: the id of a provider's own job, say."""
    remember: Callable[[str], Awaitable[None]] = field(default=_forget, repr=False)
    """Keeps a text for the next run, should this one break off. Raises StorageError."""
    lay: Callable[[str, bytes], Awaitable[bool]] = field(default=_drop, repr=False)
    """Keeps a file for the next run under a name of the maker's; False where there is no room. Raises StorageError."""
    take: Callable[[str], Awaitable[bytes | None]] = field(default=_find_nothing, repr=False)
    """A file that was laid by. Raises StorageError."""
    unwanted: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set before it is closed because nobody wants it any more; not where it is to be gone on with later."""


Make = Callable[[Commission], AsyncGenerator[Part]]
"""Makes it: Progress as often as there is some, what was made as Media and text, notices, and Finished at the end with
what it took. What cannot be made is a Notice and Finished. It may be run again from the beginning when its process
dies, and is closed when nobody wants it any more. Raises StorageError."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes one kind of things."""

    kind: str
    queue: Queue
    make: Make
    seconds: float = 300.0
    """The longest that one try may take."""
    follow_seconds: float = 45.0
    """A turn waits for it for so long; what takes longer comes later, in a message of its own."""
