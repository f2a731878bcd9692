"""What comes in: one set of frozen values for every platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

INLINE = "inline-"
"""A chat's id that begins so is one message in a chat that the bot has no part in: what is asked and answered there
is a conversation of its own, and is shown in that message alone. Behind it stands the message's id."""
INLINE_QUESTION = "question"
"""Id of the question there, and of its delivery: there is one."""


class Platform(StrEnum):
    """Where a conversation takes place."""

    DISCORD = "discord"
    TELEGRAM = "telegram"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class ConversationKey:
    """Names one conversation: a chat with its thread or topic, as one bot account sees it.

    ``bot`` is the bot's account id on the platform, so that two bots over one Redis never share a
    conversation. A Discord thread is a channel of its own: it stands in ``chat``.
    """

    platform: Platform
    bot: str
    chat: str
    thread: str = ""

    def __post_init__(self) -> None:
        for part in (self.bot, self.chat, self.thread):
            if ":" in part:
                raise ValueError(f"a conversation's ids may not contain ':', got {part!r}")

    def __str__(self) -> str:
        return f"{self.platform}:{self.bot}:{self.chat}:{self.thread}"

    @property
    def inline(self) -> str:
        """Id of the one message that all of it is shown in; empty where it has a chat of its own."""
        return self.chat.removeprefix(INLINE) if self.chat.startswith(INLINE) else ""

    def within(self, message_id: str) -> ConversationKey:
        """The conversation in one message elsewhere, of the same bot."""
        return ConversationKey(self.platform, self.bot, INLINE + message_id)

    @classmethod
    def parse(cls, text: str) -> ConversationKey:
        """The inverse of ``str``; raises ValueError for anything else."""
        platform, bot, chat, thread = text.split(":")
        return cls(Platform(platform), bot, chat, thread)


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote: the platform's account id, the name to show, the language code the platform tells."""

    id: str
    name: str
    is_bot: bool = False
    language: str = ""
    is_owner: bool = False
    """The platform knows by itself that they run this Parley (the web: who came in by the one-time link)."""


class AttachmentKind(StrEnum):
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message. ``ref`` is what the platform's ``fetch`` needs (file id, URL, blob key)."""

    kind: AttachmentKind
    ref: str
    name: str = ""
    mime: str = ""
    size: int = 0
    """Bytes as the platform declares them; 0 when unknown."""
    seconds: int = 0
    """Length of a recording as the platform declares it; 0 when unknown."""
    quoted: bool = False
    """It came with the message replied to: someone else's words, perhaps."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The message that was replied to, as far as the platform hands it over."""

    message_id: str
    author: str
    text: str
    chosen: bool = False
    """The text is a part of the message, chosen by who replies."""
    reply_to: str = ""
    """Id of the message that this one replied to, where the platform tells it and hands no more over."""

    @property
    def begins(self) -> bool:
        """Nobody replied to it: the post that a message stands in begins with it, and only its title is known."""
        return bool(self.message_id) and self.reply_to == self.message_id

    author_id: str = ""
    """Account id of who wrote it, where the platform tells."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message addressed to the bot."""

    conversation: ConversationKey
    id: str
    """The platform's message id; unique within the conversation."""
    update: str
    """Id of the delivery itself: a second delivery with the same id is refused."""
    author: Author
    text: str
    sent_at: float
    """Unix seconds."""
    private: bool
    """A one-to-one chat."""
    reply_to: str = ""
    """Message id of the message replied to, or empty."""
    quote: Quote | None = None
    attachments: tuple[Attachment, ...] = ()
    edited: bool = False
    """A new text for a message that came before: its answer is made anew in place."""
    unsupported: str = ""
    """What the message holds that cannot be read, e.g. ``sticker``; set only when there is nothing else in it."""
    space: str = ""
    """Guild or group id; empty in private chats."""
    place: str = ""
    """The chat in words, for the prompt: ``#general in Chess Club``."""
    album: str = ""
    """It is a piece of this album; the pieces are joined in the mailbox."""
    also: tuple[str, ...] = ()
    """Message ids of the other pieces, once they are joined."""
    addressed: bool = True
    """False for a piece of an album of which another piece may turn to the bot."""
    opens: str = ""
    """Id of the channel that it stands in, where its conversation is a thread that is opened on it with the answer."""
    within: tuple[str, ...] = ()
    """Ids of what its channel stands in: a thread's channel, a channel's category."""
    overheard: bool = False
    """It is not for the bot, which only reads along: nothing is answered."""
    by_admin: bool = False
    """The platform has told already that its author may choose for all there."""


@dataclass(frozen=True, slots=True)
class CommandCall:
    """A command or a pressed button. Buttons carry the message they stand under in ``reply_to``."""

    conversation: ConversationKey
    id: str
    update: str
    author: Author
    name: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    sent_at: float = 0.0
    private: bool = False
    reply_to: str = ""
    reply_token: str = ""
    """What the platform wants back with the answer (Discord: the interaction's token)."""
    space: str = ""
    place: str = ""
    attachments: tuple[Attachment, ...] = ()
    """Files that came with it, or with the message that it is about."""
    quote: Quote | None = None
    """The message that it is about: the one replied to, or in whose menu it was chosen. Its id is ``reply_to``."""
    alone: bool = False
    """Its answer is for the asker's eyes, whatever the command."""
    most_pages: int = 0
    """Messages that the platform lets its answer take there, a file after them apart; 0: no other than anywhere."""
    by_admin: bool = False
    """The platform has told already that the caller may choose for all there."""
    awaited: bool = False
    """A message stands there already that its answer is to fill in: no former answer's messages take its place."""
    within: tuple[str, ...] = ()
    """Ids of what its channel stands in: a thread's channel, a channel's category."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Messages that were deleted on the platform."""

    conversation: ConversationKey
    ids: tuple[str, ...]
    update: str


class Verdict(StrEnum):
    """What a person thinks of an answer."""

    UP = "up"
    DOWN = "down"
    NONE = ""
    """Nothing, or nothing any more."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a person shows that they think of a message now, whatever it was before. It is no turn."""

    conversation: ConversationKey
    message_id: str
    voter: str
    """Their account id."""
    verdict: Verdict
    at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Departure:
    """The bot can write no more in a chat: thrown out, or blocked. It is told for all conversations of the chat."""

    conversation: ConversationKey
    update: str
    space: str = ""
    """Where it is a whole space, its id; then the chat says nothing."""
    gone: bool = False
    """The chat itself was deleted, and all that was said in it."""


@dataclass(frozen=True, slots=True)
class Relocation:
    """A conversation goes on under another key: a group became a supergroup."""

    conversation: ConversationKey
    to: ConversationKey
    update: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """What somebody wrote in a space whose rules look at everything, whoever it was for. It goes before the
    :class:`Message` that it may be as well, and is no turn."""

    conversation: ConversationKey
    id: str
    """The platform's message id."""
    update: str
    author: Author
    text: str
    """With the words under pictures, and of what was forwarded."""
    sent_at: float
    """Unix seconds."""
    space: str
    place: str = ""
    within: tuple[str, ...] = ()
    """Ids of what its channel stands in: a thread's channel, a channel's category."""
    edited: bool = False
    reply_to: str = ""
    attachments: tuple[Attachment, ...] = ()
    links: tuple[str, ...] = ()
    """Where it leads: addresses that are written out, and those hidden under words or buttons."""
    mentions: int = 0
    """People and roles named, each once."""
    mentions_all: bool = False
    """Everybody is named, or everybody who is here."""
    forwarded: bool = False
    unsupported: str = ""
    """What it holds besides, e.g. ``sticker``, ``contact``, ``location``."""
    roles: tuple[str, ...] = ()
    """Ids of its author's roles, where the platform tells them with it."""
    is_staff: bool = False
    """The platform has told already that its author is an administrator, or the group itself."""
    joined_at: float = 0.0
    """Unix seconds since when its author is a member; 0.0 where the platform does not tell with it."""
    created_at: float = 0.0
    """Unix seconds since when their account exists; 0.0 where nobody tells."""
    album: str = ""
    """It is a piece of this album: the others are messages of their own."""


class Movement(StrEnum):
    JOINED = "joined"
    LEFT = "left"
    ASKED = "asked"
    """They asked to be let in, and wait."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody came to a space, left it, or asks to be let in."""

    conversation: ConversationKey
    """The group, or a guild's channel for the system's notes; its chat may be empty."""
    space: str
    update: str
    author: Author
    movement: Movement
    at: float
    """Unix seconds."""
    created_at: float = 0.0
    """Unix seconds since when their account exists; 0.0 where nobody tells."""
    by: str = ""
    """Account id of who added or threw them out, where it was not they themselves."""
    words: str = ""
    """What they say of themselves with it."""
    private_chat: str = ""
    """Id of the chat in which they can be asked before they are let in (Telegram: for five minutes)."""


@dataclass(frozen=True, slots=True)
class Reacted:
    """Somebody put an emoji under a message in a space whose rules look at everything, or took it away."""

    conversation: ConversationKey
    space: str
    message_id: str
    update: str
    author: Author
    emoji: str
    added: bool
    at: float
    """Unix seconds."""


Seen = Sighting | Arrival | Reacted
"""What a space's rules look at."""


def relocated(value: Message | CommandCall, to: ConversationKey) -> Message | CommandCall:
    """A value of a conversation that goes on under another key, as one of that one."""
    chat = value.conversation.chat
    value = replace(
        value,
        conversation=to,
        id=moved_id(value.id, chat),
        reply_to=moved_id(value.reply_to, chat),
        space=to.chat if value.space else "",
    )
    if value.quote:
        value = replace(value, quote=replace(value.quote, message_id=moved_id(value.quote.message_id, chat)))
    if isinstance(value, Message):
        value = replace(value, also=tuple(moved_id(id, chat) for id in value.also))
    return value


def moved_id(id: str, chat: str) -> str:
    """The id of a message that stands in another chat than its conversation has by now: that one counts from 1 again.

    Ids of calls, and what has such an id already, keep theirs.
    """
    return f"{chat}/{id}" if id.isdecimal() else id


Lasting = Message | CommandCall | Deletion
"""What has a form in Redis."""
Incoming = Lasting | Reaction | Departure | Relocation | Seen


def clean_text(text: str) -> str:
    """Text that every wire accepts: lone surrogates and NUL replaced, ends trimmed."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd").strip()
