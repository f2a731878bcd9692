"""What a command is: a row of the table, and the room that its function sees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.conversation.history import History
from core.conversation.mailbox import Mailbox
from core.conversation.turn import Turn
from core.message import CommandCall
from core.models.catalog import Catalog
from core.parts import Part
from core.speaking import Speaking
from core.storage.failed import DeadLetters
from core.storage.feedback import Feedback
from core.texts import say


class Where(StrEnum):
    """Where a command is of use, and listed where a platform has a menu for each place."""

    ANYWHERE = "anywhere"
    PRIVATE = "private"
    GROUPS = "groups"


SILENTLY = "silently"
"""An option of calls that the platform itself has shown the effect of: they are carried out without a word."""


@dataclass(frozen=True, slots=True)
class Option:
    """A typed value that a command takes; every option is text so far."""

    name: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A row. ``run`` yields what is answered; it ends with Finished like every answer.

    Its words stand in the catalogs (``core/texts.py``) under ``command.NAME`` and ``option.NAME.OPTION``.
    """

    name: str
    group: str
    run: Callable[[Room], AsyncIterator[Part]] | None = None
    """None: the engine answers it as a question."""
    option: Option | None = None
    private: bool = False
    """The answer is shown to the asker alone, where the platform can."""
    where: Where = Where.ANYWHERE
    listed: bool = True
    """Shown in menus; buttons and platform habits (/start) are not."""
    urgent: bool = False
    """Acts at once, without waiting for the turns before it."""
    for_owner: bool = False
    """Only for those who run this Parley (``core.access.decide_command``); others do not see it listed."""
    for_admins: bool = False
    """In groups it is of use to the administrators alone: listed for them where the platform can. It checks that
    itself (``Room.is_admin``), since some may still look."""
    for_asker: bool = False
    """About an answer: in groups it is for who asked, and for the administrators."""

    def summary(self, language: str = "") -> str:
        """What it does, in a few words."""
        return say(f"command.{self.name}", language)

    def explain(self, option: Option, language: str = "") -> str:
        """What one of its options is, in a few words."""
        return say(f"option.{self.name}.{option.name}", language)


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
    feedback: Feedback
    is_owner: bool
    """The asker runs this Parley."""
    is_admin: Callable[[], Awaitable[bool]]
    """Whether the asker may choose for all here: always in private chats."""
    is_theirs: Callable[[str], Awaitable[bool]]
    """Whether the asker may do as they like with the answer that a message shows, or with their message."""
    speaking: Speaking
    buttons: bool = True
    """The setting ``chat.buttons``."""

    @property
    def language(self) -> str:
        return self.turn.language
