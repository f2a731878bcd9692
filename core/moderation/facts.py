"""What rules are told besides what they look at. Values only: whoever asks the rules has looked it up before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from core.moderation.flow import Flow

if TYPE_CHECKING:
    from core.moderation.classify import Scores, Thresholds


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about who wrote, and about now. What is not known makes no rule hit."""

    now: float
    """Unix seconds."""
    space: str = ""
    """Names the space in ``flow`` (``core.people.spaces.space_id``)."""
    flow: Flow | None = None
    """What happened lately; None: rules that count hit nothing."""
    messages_before: int | None = None
    """Messages that its author wrote in the space before this one; None: nobody counted."""
    scores: Callable[[], Scores] | None = None
    """Asks the classifier about the text, when a rule wants to know."""
    thresholds: Thresholds | None = None
    """From which scores on the levels ``flag`` and ``act`` count."""
    has_second_look: bool = False
    """Somebody takes a second look at what ``scores`` leave open, where a rule can wait for it."""
    is_staff: bool = False
    """Its author is a moderator there, or more."""
    joined_at: float = 0.0
    """Unix seconds since when its author is a member, where the platform did not tell it with what is looked at."""
    created_at: float = 0.0
    """The same of their account."""
    own_invites: frozenset[str] = frozenset()
    """Codes of invitations to the space itself, in small letters."""
    zone: tzinfo = UTC
    """The space's time zone."""
