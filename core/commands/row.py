"""What a command is: a row of the table, and the room that its function sees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from core.access import Right
from core.commands.option import Kind, Option
from core.commands.typed import spread
from core.conversation.history import History
from core.conversation.mailbox import Mailbox
from core.conversation.turn import Turn
from core.message import Attachment, CommandCall, Platform
from core.models.catalog import Catalog
from core.models.settings import ModelKind
from core.moderation.carrying import Acts
from core.moderation.enforcer import Enforcer
from core.moderation.members import Members
from core.moderation.native import NativeRules
from core.moderation.settings import ModerationSettings
from core.parts import Part
from core.people.access import Access
from core.people.community import Community
from core.storage.cases import Cases
from core.storage.failed import DeadLetters
from core.storage.feedback import Feedback
from core.texts import say
from core.workshop import Workshop


class Where(StrEnum):
    """Where a command is of use, and listed where a platform has a menu for each place."""

    ANYWHERE = "anywhere"
    PRIVATE = "private"
    GROUPS = "groups"


Fetch = Callable[[Attachment, int], Awaitable[bytes]]
"""Gets a file from the platform, of at most so many bytes."""
TryKey = Callable[[str, str], Awaitable[None]]
"""Asks a provider, by its name, about a key."""
SILENTLY = "silently"
"""An option of calls that the platform itself has shown the effect of: they are carried out without a word."""


TYPED = "text"
"""Name under which a platform without named options gives what was typed after a command."""


@dataclass(frozen=True, slots=True)
class Command:
    """A row. ``run`` yields what is answered; it ends with Finished like every answer.

    Its words stand in the catalogs (``core/texts.py``): what it does under ``command.NAME`` and
    ``option.NAME.OPTION``, what people call it under ``name.NAME``, ``name.NAME.OPTION``, ``choice.NAME.OPTION.VALUE``
    and, in the menu of a message or a person, ``menu.NAME``.

    A name of two words, like ``admin role``, is a subcommand of the row ``admin``: its keys are ``command.admin role``,
    ``option.admin role.user`` and so on, and ``name.admin role`` is its second word alone. On Discord a row that has
    subcommands cannot be called by itself: whoever wants its function there as well gives it a subcommand, too.
    """

    name: str
    group: str
    run: Callable[[Room], AsyncIterator[Part]] | None = None
    """None: the engine answers it as a question."""
    options: tuple[Option, ...] = ()
    menu: Literal["", "message", "user"] = ""
    """It is also in the menu of each message or person, where a platform has such menus. A call from there tells the
    message in ``quote``, ``reply_to`` and ``attachments``, where it stands for the first option, and the person in
    ``options["user"]``; its answer is shown to the asker alone."""
    right: Right | None = None
    """Who lacks it does not see it listed, where the platform can hide it, and is refused."""
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
    needs: ModelKind | None = None
    """Only of use where there is a model of this kind: listed there alone."""
    works: Callable[[Catalog], bool] | None = None
    """Decides on that instead, where the kind alone does not tell, or is not the only one."""
    for_asker: bool = False
    """About an answer: in groups it is for who asked, and for the administrators."""
    always: bool = False
    """It is answered whatever holds: to those who are shut out, during maintenance, over all limits."""
    replies: bool = False
    """Its answer replies to the message in ``reply_to``, where the platform shows replies."""
    spread: bool = False
    """What is typed where there are no named options is spread over them in their order, one word (or ``"several"``)
    each; ``name=value`` names one, and the last takes the rest (``core/commands/typed.py``). Who wrote the message
    replied to stands for a required person whom the words do not name. No option may be called ``text``."""

    def __post_init__(self) -> None:
        if self.spread and any(option.name == TYPED for option in self.options):
            raise ValueError(f"{self.name}: what is typed would be taken for the option {TYPED!r}")

    @property
    def parent(self) -> str:
        """Name of the row that it is a subcommand of; empty where it is none."""
        return self.name.rpartition(" ")[0]

    @property
    def word(self) -> str:
        """The last word of its name."""
        return self.name.rpartition(" ")[2]

    def can_work(self, catalog: Catalog) -> bool:
        """Whether there is a model for it, where it needs one."""
        if self.works is not None:
            return self.works(catalog)
        return self.needs is None or catalog.has(self.needs)

    def summary(self, language: str = "") -> str:
        """What it does, in a few words."""
        return say(f"command.{self.name}", language)

    def explain(self, option: Option, language: str = "") -> str:
        """What one of its options is, in a few words."""
        return say(f"option.{option.words or self.name}.{option.name}", language)

    def called(self, language: str = "") -> str:
        """Its whole name as people of that language type it."""
        above = f"{say(f'name.{self.parent}', language)} " if self.parent else ""
        return above + self.called_below(language)

    def called_below(self, language: str = "") -> str:
        """The last word of that."""
        return say(f"name.{self.name}", language)

    def called_in_menu(self, language: str = "") -> str:
        """Its name in the menu of a message or a person."""
        return say(f"menu.{self.name}", language)

    def named(self, option: Option, language: str = "") -> str:
        """An option's name as people of that language type it."""
        return say(f"name.{option.words or self.name}.{option.name}", language)

    def labelled(self, option: Option, choice: str, language: str = "") -> str:
        """One of an option's choices in words."""
        return say(f"{option.labels or f'choice.{self.name}.{option.name}'}.{choice}", language)

    def value(self, call: CommandCall, name: str) -> str:
        """What a call gives an option, empty for nothing. Typed text is that of the first option for text, unless it is
        spread over all of them."""
        if name in call.options:
            return call.options[name].strip()
        if self.spread:
            return self._spread(call).get(name, "").strip()
        taking = next((option.name for option in self.options if option.kind in (Kind.TEXT, Kind.LONG)), "")
        return call.options.get(TYPED, "").strip() if name == taking else ""

    def _spread(self, call: CommandCall) -> dict[str, str]:
        about = call.quote.author_id if call.quote else ""
        person = next((option for option in self.options if option.kind is Kind.USER and option.required), None)
        given = spread(call.options.get(TYPED, ""), self.options)
        if person is None or not about or person.name in {*call.options, *given}:
            return given
        others = [option for option in self.options if option is not person]
        return {person.name: about, **spread(call.options.get(TYPED, ""), others)}

    def words(self, call: CommandCall) -> str:
        """All that was said with a call in one line, as it would be typed."""
        given = [call.options[option.name] for option in self.options if call.options.get(option.name)]
        return (call.options.get(TYPED) or " ".join(given)).strip()


@dataclass(frozen=True, slots=True)
class Moderation:
    """What moderators' commands work with."""

    cases: Cases
    members: Members
    """The people of the platform's spaces."""
    settings: ModerationSettings = field(default_factory=ModerationSettings)
    acts: Acts | None = None
    """What acts are carried out by; None where nobody does."""
    enforcer: Enforcer | None = None
    """The platform's hands."""
    native: NativeRules | None = None
    """The platform's own filter, where it has one."""


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
    may: Callable[[Right], Awaitable[bool]]
    """Whether the asker has a right here; none is held outside spaces. Raises RightsUnknownError."""
    is_theirs: Callable[[str], Awaitable[bool]]
    """Whether the asker may do as they like with the answer that a message shows, or with their message."""
    workshop: Workshop
    community: Community
    """People, spaces and what they share."""
    buttons: bool | None = True
    """The setting ``chat.buttons``; None where the platform has no such buttons."""
    moderation: Moderation | None = None
    """None where the platform has no spaces."""
    fetch: Fetch | None = None
    """Gets a file that came with the call. Raises OutboundError."""
    try_key: TryKey | None = None
    """Asks a provider whether it takes a key. Raises OwnKeyError where it does not, ModelError."""
    elsewhere: Mapping[Platform, Moderation] = field(default_factory=dict[Platform, Moderation])
    """What moderators' commands work with on each platform that has spaces."""

    access: Access | None = None
    """Decides on rights and roles. None: nobody does."""
    ask: Callable[[CommandCall], AsyncIterator[Part]] | None = None
    """Answers a call as a question to the model, which goes on in the conversation."""

    @property
    def language(self) -> str:
        return self.turn.language

    @property
    def row(self) -> Command:
        """The command that was called."""
        return next(row for row in self.rows if row.name == self.call.name)

    @property
    def words(self) -> str:
        """What was said with it, in one line."""
        return self.row.words(self.call)

    def value(self, option: str) -> str:
        """What an option was given, empty for nothing."""
        return self.row.value(self.call, option)
