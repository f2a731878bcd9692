"""The two seams of a platform: Adapter receives, Outbound shows. Capabilities say as data what it can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from core.message import Attachment, ConversationKey, Incoming, Platform
from core.parts import Activity, Media, Poll

RESENT = 1000
"""Added to a slot's number when its message was deleted and has to be created anew."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a platform can show. Lengths count what :attr:`Page.length` counts."""

    max_text: int
    """Longest text of one message, in the unit of ``Page.length``."""
    edit_interval: float
    """Seconds between two intermediate edits (or drafts) of one answer in a private chat."""
    group_edit_interval: float
    """The same in groups."""
    drafts: bool = False
    """Private chats show a preview that is replaced by the message at the end."""
    draft_lifetime: float = 0.0
    """Seconds after which a preview that is not shown again vanishes."""
    rich: bool = False
    """There is a richer form of pages, which the platform may refuse (``OutboundFault.FORM``)."""
    typing_lifetime: float = 0.0
    """Seconds that one typing signal lasts; 0 where there is none."""
    activities: bool = False
    """The typing signal tells what is being made."""
    buttons: bool = False
    menus: bool = False
    """Rows of buttons that can change in place: answers carry more than what they cannot do without."""
    polls: bool = False
    """Questions of a quiz can be votes (:class:`PollOutbound`)."""
    quizzes: bool = False
    """Who votes is told what was right."""
    spoilers: bool = False
    """Text between two pairs of bars is hidden until somebody uncovers it."""
    votes: bool = False
    """What people think of an answer is asked for by buttons: their reactions to messages are not seen."""
    max_file: int = 0
    """Bytes; 0 where files cannot be sent."""
    album: int = 0
    """The most pictures that go as one album (:class:`AlbumOutbound`); 0 where there are none."""
    album_is_one: bool = False
    """An album is one message, and can be an answer's last page (:attr:`Page.pictures`); else each of its pictures is a
    message."""
    max_download: int = 0
    """Bytes of a file that can be fetched; 0: whatever settings allow."""
    idempotent_sends: bool = False
    """A repeated send with the same slot is the platform's own message again."""
    endings: bool = False
    """The platform shows by itself whether text is still to come: final pages carry :attr:`Page.ending`."""
    final_form: bool = False
    """Pages that grow no more take a form that they keep for good: those carry :attr:`Page.final`."""
    footers: bool = False
    """A small line below a model's answer tells what it took (:attr:`Page.footer`)."""


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message: pressing it comes back as a CommandCall named ``command``."""

    label: str
    command: str
    row: int = 0
    """Buttons of one number stand side by side, where the platform has rows."""
    url: str = ""
    """Where it leads, in place of a command."""
    among: str = ""
    """What is chosen by it and its neighbours with the same words: many of them are one list, where there are lists."""
    grave: bool = False
    """What it does cannot be taken back: red, where buttons have colours."""


@dataclass(frozen=True, slots=True)
class Page:
    """One message's worth of an answer, in the platform's own form. Equal pages need no edit."""

    text: str
    length: int
    entities: tuple[Any, ...] = ()
    buttons: tuple[Button, ...] = ()
    rich: str = ""
    """The page in the platform's richer form, in place of ``text`` and ``entities``; empty where it has none."""
    ending: str = ""
    """How the answer ended (a value of ``core.parts.Ending``): on an answer's final pages, where
    ``capabilities.endings``. Empty: more may come."""
    final: bool = False
    """To be shown in the form for pages that grow no more, where ``capabilities.final_form``. Who goes on with a page
    that another try or a former answer may have left in that form keeps to it."""
    footer: str = ""
    """One small line below the text, in the platform's own form, where ``capabilities.footers``."""
    pictures: tuple[Media, ...] = ()
    """Shown below the text, where ``capabilities.album_is_one``."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Under whose name an answer is shown, where the platform can show another than the bot's."""

    name: str
    avatar: str = ""
    """Address of a picture."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an answer goes. Ids only, so that any process can deliver."""

    conversation: ConversationKey
    private: bool
    question: str
    """Message id of the question, replied to where the platform shows replies."""
    reply_token: str = ""
    ephemeral: bool = False
    """Show to the asker alone, where the platform can."""
    asked: str = ""
    """Id of the incoming value that is answered, commands included; ``question`` is empty for these."""
    language: str = ""
    """What Parley itself says is said in this one."""
    opens: str = ""
    """Id of the channel in which the conversation's thread is to be opened on the question; else empty."""
    title: str = ""
    """The question's words, for the name of such a thread."""
    speaker: Speaker | None = None
    """None: the bot itself."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One message to be created: the turn and the page's number. It is recorded before the send.

    ``after`` is what :meth:`Outbound.mark` gave when the slot was recorded.
    """

    turn: str
    number: int
    after: str = ""


class Outbound(Protocol):
    """How delivery reaches one platform. Every method raises ``core.errors.OutboundError`` and nothing else."""

    platform: Platform
    capabilities: Capabilities

    def format(self, markdown: str, *, simple: bool = False) -> Page:
        """Markdown in the platform's own form, mentions of others made harmless. Pure; never fails.

        ``simple``: in the form that every server takes and every client shows.
        """
        ...

    def mark(self, target: Target) -> str:
        """A hint kept with a slot, for ``find`` to look in the right place (Telegram: the highest message id seen)."""
        ...

    async def send(self, target: Target, page: Page, slot: Slot) -> str:
        """Creates a message; its id."""
        ...

    async def find(self, target: Target, page: Page, slot: Slot, known: Sequence[str]) -> str | None:
        """After a crash: the id of the message that a recorded slot may have created, or None.

        ``known`` are message ids of this conversation that are other messages, all of them older.
        """
        ...

    async def edit(self, target: Target, message_id: str, page: Page) -> None:
        """Replaces a message's text. An unchanged text is no error."""
        ...

    async def draft(self, target: Target, slot: Slot, page: Page, *, stoppable: bool = True) -> None:
        """Shows a preview, where ``capabilities.drafts``; an empty page says that an answer is being made.

        ``stoppable``: with the platform's own button to stop the answer, where it has one.
        """
        ...

    async def typing(self, target: Target, activity: Activity = Activity.TEXT) -> None:
        """Shows that an answer is being made, and what kind of one where ``capabilities.activities``."""
        ...

    async def send_file(
        self, target: Target, name: str, mime: str, data: bytes, caption: Page, slot: Slot, *, description: str = ""
    ) -> str:
        """Creates a message with a file; its id. ``description`` is :attr:`Media.description`."""
        ...

    async def delete(self, target: Target, message_id: str) -> None:
        """Deletes a message of the bot's own. One that is gone is no error."""
        ...

    async def fetch(self, conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        """The attachment's bytes; more than ``limit`` are refused (``OutboundFault.REFUSED``), before or in reading."""
        ...


@runtime_checkable
class AlbumOutbound(Protocol):
    """What an outbound with ``capabilities.album`` does besides."""

    async def send_album(self, target: Target, pictures: Sequence[Media], slot: Slot, caption: Page) -> list[str]:
        """Creates an album of two pictures or more; the ids of its messages, all of this one slot: as many as there
        are pictures, or a single one where ``capabilities.album_is_one``."""
        ...


@runtime_checkable
class PollOutbound(Protocol):
    """What an outbound with ``capabilities.polls`` does besides."""

    async def send_poll(self, target: Target, poll: Poll, slot: Slot) -> str:
        """Creates a message with a question of a quiz; its id. Texts that are too long are cut."""
        ...


class Inbox(Protocol):
    """What an adapter hands incoming values to."""

    async def accept(self, incoming: Sequence[Incoming]) -> Sequence[Incoming] | None:
        """Returns when all of them are in Redis; only then may the platform be told so. Raises StorageError.

        Tells which of them were too many: one notice stands for them, or not even that. None: none was.
        """
        ...


class Adapter(Protocol):
    """A platform's receiving side."""

    platform: Platform

    async def run(self, inbox: Inbox) -> None:
        """Connects and receives until cancelled. Raises SettingsError for a wrong token and the like."""
        ...

    async def ready(self) -> None:
        """Returns once the platform is connected."""
        ...
