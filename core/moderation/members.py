"""The people of a space as moderation sees them: how they stand to each other, and how they are told things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.message import CommandCall

Words = Callable[[str], str]
"""What is to be said, in a language; it gets an empty text where nobody knows which."""


class Rank(StrEnum):
    """How somebody stands to the caller of a command."""

    BELOW = "below"
    """The caller may act on them; also who is no member any more."""
    ABOVE = "above"
    """At the caller's own height, or higher."""
    OWNER = "owner"
    """The space is theirs."""
    BOT = "bot"


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a space."""

    name: str
    rank: Rank
    is_here: bool = True
    """False for who is no member now: the bot does not write to them in the space's name."""


class Members(Protocol):
    """A platform's spaces. What is told goes to other chats than the command's own; it is never an error when it does
    not get there. ``key`` names what is told: the same is not told twice for it, as far as the platform can help it."""

    async def serves(self, call: CommandCall) -> bool:
        """Whether the bot is a member of the call's space. Raises RightsUnknownError."""
        ...

    async def space_name(self, call: CommandCall) -> str:
        """What the call's space is called. Never fails: where nobody tells, it is the call's place, or empty."""
        ...

    async def find(self, call: CommandCall, account: str) -> Member | None:
        """Somebody as they stand to the caller now; None for whom the platform does not know. Raises
        RightsUnknownError."""
        ...

    async def are_called(self, call: CommandCall, name: str) -> bool:
        """Whether somebody in the call's space has a name that looks like this one. Never fails: where nobody tells,
        nobody has."""
        ...

    async def channel(self, call: CommandCall, wanted: str) -> str | None:
        """The id of a channel of the caller's space that the bot may write in; None for any other."""
        ...

    def link(self, call: CommandCall, message_id: str) -> str:
        """Where a message of the call's conversation can be seen; empty where there are no links."""
        ...

    async def tell(self, call: CommandCall, account: str, words: Words, key: str) -> bool:
        """Tells one person in private. Whether they could be told."""
        ...

    async def tell_moderators(self, call: CommandCall, channel: str, about: str, words: Words, key: str) -> bool:
        """Tells those who moderate the space, never whom it is about: in a channel of theirs, or in private where there
        is none, it is closed, or that person can read it. Whether any could be told."""
        ...
