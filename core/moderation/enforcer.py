"""The seam to a platform's hands: who stands where, what the bot may do, and doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.message import ConversationKey
from core.moderation.acts import Act, ActKind, Answer
from core.moderation.durations import Span
from core.moderation.members import Rank
from core.parts import Choice

Rows = Sequence[Sequence[Choice]]
"""Buttons, row by row."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place of a space: where an act is asked for."""

    conversation: ConversationKey
    space: str


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody as the platform shows them now."""

    account: str
    name: str
    rank: Rank
    """As they stand to the actor. Administrators are never BELOW another administrator who is not the owner."""
    is_here: bool = True
    is_admin: bool = False
    """An administrator by the platform's word, or somebody with a moderator's rights there."""
    joined_at: float = 0.0
    """Unix seconds; 0.0 where the platform does not tell."""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody is asked who has just come, or who wants to come in."""

    account: str
    markdown: str
    rows: Sequence[Sequence[Choice]]
    """The buttons with which it is answered."""
    private_chat: str = ""
    """Where they are asked alone (``Arrival.private_chat``); empty: where they can press buttons while they are muted,
    which is the group on Telegram, and a direct message on Discord."""
    key: str = ""
    """The same is asked once, as far as the platform can help it."""
    is_note: bool = False
    """They are asked nothing, but told something where the arrival was told of."""


class Enforcer(Protocol):
    """What one bot can do in its spaces. Every method asks the platform anew. It raises RightsUnknownError where the
    platform does not tell now, OutboundError (``OutboundFault.TRANSIENT``) where it could not be reached: then the same
    act is tried again later."""

    abilities: Mapping[ActKind, Span]
    """What the platform has; a kind that is not in it, it lacks. The span is of use to what lasts."""

    async def know(self, site: Site, account: str, actor: str) -> Known | None:
        """Somebody as they stand to ``actor`` (an account, or ``acts.AUTOMOD``: then to the bot itself); None for whom
        the platform does not know."""
        ...

    async def lacking(self, act: Act) -> str:
        """Key of the sentence that names the right which the bot lacks for it there (``permission.…``), or
        ``bot_below`` where whom it is about stands above the bot; empty: it may."""
        ...

    async def lacking_all(self, site: Site) -> Sequence[tuple[ActKind, str]]:
        """What the bot cannot do there for want of a right, each with the key of the sentence that names it: before
        anybody needs it."""
        ...

    async def blind(self, site: Site) -> str:
        """Key of the sentence for why the bot does not see all that is said there; empty: it does."""
        ...

    async def invites(self, site: Site) -> Sequence[str]:
        """Invitations to the space itself, as links or by their codes, as far as the platform tells the bot of them."""
        ...

    async def before(self, act: Act) -> Mapping[str, str]:
        """What the act will change, as it is now: what its undoing restores."""
        ...

    async def carry_out(self, act: Act, seconds: int | None) -> Answer:
        """Does it; doing it again changes nothing more. ``seconds`` are what the platform is to be told
        (:meth:`Span.native`). With ``act.before`` exactly that is restored."""
        ...

    async def recent(self, site: Site, account: str, count: int, seconds: int) -> Sequence[str] | None:
        """Ids of the newest messages in ``site.conversation``, of ``account`` where it is not empty, newest first; None
        where the platform tells no bot, and only what we have seen ourselves is known."""
        ...

    async def link(self, site: Site, message_id: str) -> str:
        """Where a message can be seen; empty where there are no links."""
        ...

    async def tell(self, site: Site, account: str, markdown: str, key: str) -> bool:
        """Tells one person in private; whether they could be told. Told once for a ``key``, as far as the platform can
        help it. Never fails."""
        ...

    async def post(self, site: Site, channel: str, markdown: str, key: str, buttons: Rows = ()) -> bool:
        """Says something in a channel of the space, for moderators; whether it could be said. Never fails."""
        ...

    async def ask(self, site: Site, asked: Asked) -> str:
        """Asks somebody, and draws their eyes to it; what :meth:`unask` takes, empty where they cannot be asked."""
        ...

    async def unask(self, site: Site, where: str) -> None:
        """Takes the question away, if it is still there. Never fails."""
        ...
