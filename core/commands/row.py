"""What a command is: a row of the table, and the room that its function sees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from core.conversation.history import History
from core.conversation.mailbox import Mailbox, Turn
from core.message import CommandCall
from core.models.catalog import Catalog
from core.parts import Part
from core.storage.failed import DeadLetters


@dataclass(frozen=True, slots=True)
class Option:
    """A typed value that a command takes; every option is text so far."""

    name: str
    summary: str
    summary_zh: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A row. ``run`` yields what is answered; it ends with Finished like every answer."""

    name: str
    group: str
    summary: str
    summary_zh: str
    run: Callable[[Room], AsyncIterator[Part]] | None = None
    """None: the engine answers it as a question."""
    option: Option | None = None
    private: bool = False
    """The answer is shown to the asker alone, where the platform can."""
    listed: bool = True
    """Shown in menus; buttons and platform habits (/start) are not."""
    urgent: bool = False
    """Acts at once, without waiting for the turns before it."""
    for_owner: bool = False
    """Only for those who run this Parley (``core.access.decide_command``); others do not see it listed."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a command sees of the world: its call and the conversation it is in."""

    call: CommandCall
    turn: Turn
    mailbox: Mailbox
    history: History
    catalog: Catalog
    rows: Sequence[Command]
    """All commands there are."""
    failed: DeadLetters
    is_owner: bool
    """The asker runs this Parley."""

    @property
    def language(self) -> str:
        return self.call.author.language
