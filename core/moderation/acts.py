"""Acts: what is done to people and places of a space, as values. Pure.

An act is planned, confirmed where it is big, written into the book of cases, and only then carried out: whoever takes
over after a crash finds it there (``core/moderation/carrying.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.access import Right
from core.message import ConversationKey
from core.moderation.evidence import Evidence
from core.people.spaces import space_id

AUTOMOD = "automod"
"""Stands for an account where no person acted: the space's rules did."""
MOST_MESSAGES = 1000
"""That one act may delete."""


class ActKind(StrEnum):
    """What is done. The values are also the commands' names, as far as people have one for it."""

    FLAG = "flag"
    """Nothing is done; moderators are to look at it."""
    WARN = "warn"
    MUTE = "mute"
    UNMUTE = "unmute"
    KICK = "kick"
    BAN = "ban"
    UNBAN = "unban"
    RESTRICT = "restrict"
    """No files, pictures, stickers and the like."""
    UNRESTRICT = "unrestrict"
    QUARANTINE = "quarantine"
    """Everything but one role is taken, until somebody has looked."""
    RELEASE = "release"
    PURGE = "purge"
    """Several messages are deleted."""
    DELETE = "delete"
    """One message is deleted."""
    REPOST = "repost"
    """What was deleted is said again by the bot, with its author's name."""
    SLOW = "slow"
    UNSLOW = "unslow"
    LOCK = "lock"
    """Nobody but the staff may write in a channel or group."""
    UNLOCK = "unlock"
    PIN = "pin"
    UNPIN = "unpin"
    APPROVE = "approve"
    """A request to join is granted."""
    DECLINE = "decline"
    UNDO = "undo"


OPPOSITE: Mapping[ActKind, ActKind] = {
    ActKind.MUTE: ActKind.UNMUTE,
    ActKind.BAN: ActKind.UNBAN,
    ActKind.RESTRICT: ActKind.UNRESTRICT,
    ActKind.QUARANTINE: ActKind.RELEASE,
    ActKind.SLOW: ActKind.UNSLOW,
    ActKind.LOCK: ActKind.UNLOCK,
    ActKind.PIN: ActKind.UNPIN,
    ActKind.DELETE: ActKind.REPOST,
    ActKind.PURGE: ActKind.REPOST,
}
"""What ends an act. A warning is undone in the book alone; a kick cannot be undone."""
LASTING = frozenset((ActKind.MUTE, ActKind.BAN, ActKind.RESTRICT, ActKind.QUARANTINE, ActKind.SLOW, ActKind.LOCK))
"""What can have an end."""
ON_PEOPLE = frozenset(
    (
        ActKind.WARN,
        ActKind.MUTE,
        ActKind.UNMUTE,
        ActKind.KICK,
        ActKind.BAN,
        ActKind.UNBAN,
        ActKind.RESTRICT,
        ActKind.UNRESTRICT,
        ActKind.QUARANTINE,
        ActKind.RELEASE,
        ActKind.APPROVE,
        ActKind.DECLINE,
    )
)
NEEDS: Mapping[ActKind, Right] = {
    ActKind.FLAG: Right.WARN,
    ActKind.WARN: Right.WARN,
    ActKind.MUTE: Right.MUTE,
    ActKind.UNMUTE: Right.MUTE,
    ActKind.RESTRICT: Right.MUTE,
    ActKind.UNRESTRICT: Right.MUTE,
    ActKind.QUARANTINE: Right.MUTE,
    ActKind.RELEASE: Right.MUTE,
    ActKind.KICK: Right.BAN,
    ActKind.BAN: Right.BAN,
    ActKind.UNBAN: Right.BAN,
    ActKind.APPROVE: Right.BAN,
    ActKind.DECLINE: Right.BAN,
    ActKind.PURGE: Right.PURGE,
    ActKind.DELETE: Right.PURGE,
    ActKind.REPOST: Right.PURGE,
    ActKind.PIN: Right.PURGE,
    ActKind.UNPIN: Right.PURGE,
    ActKind.SLOW: Right.PURGE,
    ActKind.UNSLOW: Right.PURGE,
    # Nobody is heard: on Telegram the whole group, and who may delete messages there may not do that.
    ActKind.LOCK: Right.MUTE,
    ActKind.UNLOCK: Right.MUTE,
}
"""The right that a person needs for it."""
OF_AUTOMOD = frozenset(
    (
        ActKind.FLAG,
        ActKind.WARN,
        ActKind.MUTE,
        ActKind.RESTRICT,
        ActKind.QUARANTINE,
        ActKind.BAN,
        ActKind.KICK,
        ActKind.DELETE,
        ActKind.PURGE,
        ActKind.SLOW,
        ActKind.LOCK,
        ActKind.APPROVE,
        ActKind.DECLINE,
        ActKind.UNMUTE,
        ActKind.UNBAN,
        ActKind.UNRESTRICT,
        ActKind.UNSLOW,
        ActKind.UNLOCK,
        ActKind.RELEASE,
    )
)
"""What rules and timers may do."""


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person with the rights that they have, or :data:`AUTOMOD`."""

    account: str
    name: str = ""

    @property
    def is_automod(self) -> bool:
        return self.account == AUTOMOD


@dataclass(frozen=True, slots=True)
class Act:
    """One act on one person or place."""

    id: str
    """The same id is the same act, however often it is asked for: made from the call, or from the rule and the message
    that it hit."""
    kind: ActKind
    conversation: ConversationKey
    """Where it was asked for, or where what it is about was said."""
    space: str
    """The platform's id of the guild or group."""
    actor: Actor
    account: str = ""
    """Whom it is about, an id on the platform."""
    name: str = ""
    """What they are called, to be shown."""
    seconds: int | None = None
    """How long it lasts; None: until somebody ends it. For SLOW see ``pause``."""
    pause: int = 0
    """Of SLOW: seconds between two messages of a person."""
    messages: tuple[str, ...] = ()
    """Ids of the messages that it is about, in ``conversation``."""
    delete_seconds: int = 0
    """Of BAN: what they wrote in so many seconds before it is deleted, too."""
    reason: str = ""
    at: float = 0.0
    """Unix seconds at which it was decided."""
    evidence: Evidence = NO_EVIDENCE
    rule: str = ""
    """The rule that decided it; empty: a person did."""
    strikes: int = 0
    """That it gives to whom it is about."""
    undoes: int = 0
    """Number of the case whose state before is restored; 0: none."""
    before: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of an act that restores: what :meth:`Enforcer.before` told when the other act was carried out. Of REPOST: message
    id -> what it said (``core.moderation.evidence.said_before``)."""
    where: str = ""
    """What the space is called, for whom it is about."""
    is_quiet: bool = False
    """Whom it is about is told nothing of it: it is a step of something that they are told of otherwise."""
    authors: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of DELETE and PURGE: accounts of those who wrote some of the messages, by their ids, where that is not
    ``account``. Rules delete none of whom they let be."""

    @property
    def place(self) -> str:
        """Names the space among those of all bots."""
        return space_id(self.conversation, self.space)

    @property
    def needs(self) -> Right:
        """The right that a person needs for it."""
        return NEEDS[self.kind]


class Outcome(StrEnum):
    DONE = "done"
    NOTHING = "nothing"
    """It was so already."""
    GONE = "gone"
    """Whom or what it is about is not there any more."""
    FORBIDDEN = "forbidden"
    """The bot lacks a right."""
    REFUSED = "refused"
    """The platform does not do it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a platform said to an act, for the receipt."""

    outcome: Outcome
    key: str = ""
    """A sentence about it, where there is more to say than the outcome."""
    detail: str = ""
    """The platform's own words, for operators."""
    count: int = 0
    """Messages that were deleted, where they were."""
    needs_end: bool = False
    """The platform was told no end, whatever :meth:`Span.needs_us` says: something else was there before. So the end is
    ours, and gives that back."""

    @property
    def is_done(self) -> bool:
        """The world is as the act wants it."""
        return self.outcome in (Outcome.DONE, Outcome.NOTHING)
