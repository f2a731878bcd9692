"""What the bot itself says, by the rules of the space: whatever would have a member's message taken away or its author
acted on is not said by the bot either. Nothing else follows from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from core.message import Author, ConversationKey, Sighting
from core.moderation.classify import Classifier, shared_classifier
from core.moderation.enforcer import Site
from core.moderation.facts import Facts
from core.moderation.invitations import OwnInvites
from core.moderation.rulebook import Policy
from core.people.spaces import Spaces

if TYPE_CHECKING:
    from core.moderation.rules import RuleSet

log = structlog.get_logger()

OF_WORDS = frozenset(("words", "words_from", "regex", "links", "invites", "score"))
"""Triggers about what is said. Others are about how much, how often and by whom."""
GRAVE = frozenset(("ban", "kick", "quarantine", "mute", "restrict", "warn", "delete"))
"""Effects of rules that the bot keeps to."""
PIECE = 2000
"""Characters that are looked at together, and"""
OVERLAP = 300
"""those of them that are looked at with the next ones again."""

Look = Callable[[str], str]
"""Name of a rule that a text hits; empty where it hits none."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the bot speaks."""

    space: str
    """``core.people.spaces.space_id``."""
    conversation: ConversationKey
    within: tuple[str, ...] = ()
    """Ids of what its channel stands in."""


class OwnWords:
    """Knows all spaces' rules."""

    def __init__(self, policy: Policy, spaces: Spaces, own_invites: OwnInvites | None = None) -> None:
        """Without ``own_invites`` invitations to the space itself are like others."""
        self._policy = policy
        self._own_invites = own_invites
        self._spaces = spaces
        self._classifier: Classifier | None = None

    async def look(self, spot: Spot) -> Look | None:
        """What tells of a text whether it may be said there; None where all may be. Raises StorageError."""
        if not spot.space or not (await self._spaces.of(spot.space)).moderated:
            return None
        rules = await self._policy.books.rules(spot.space)
        book = (await self._policy.books.of(spot.space)).value
        if rules is None or time.time() < book.paused_until:
            return None
        kept_to = [
            rule
            for rule in rules.rules
            if rule.enabled and not rule.shadow and OF_WORDS & set(rule.triggers) and GRAVE & set(rule.effects)
        ]
        if not kept_to:
            return None
        if self._classifier is None and any(rule.score for rule in kept_to):
            self._classifier = await asyncio.to_thread(shared_classifier)
        names = frozenset(rule.name for rule in kept_to)
        own = frozenset[str]()
        if self._own_invites is not None and rules.looks_at_invites:
            own = await self._own_invites.of(Site(spot.conversation, spot.space.rpartition(":")[2]))
        return lambda text: self._hit(rules, names, spot, text, own)

    def _hit(self, rules: RuleSet, names: frozenset[str], spot: Spot, text: str, own: frozenset[str]) -> str:
        for start in range(0, max(1, len(text) - OVERLAP), PIECE - OVERLAP):
            piece = text[start : start + PIECE]
            now = time.time()
            bot = Author(spot.conversation.bot, "", is_bot=True)
            space = spot.space.rpartition(":")[2]
            said = Sighting(spot.conversation, "", "", bot, piece, now, space, within=spot.within)
            for hit in rules.look(said, replace(self._facts(spot, piece, now), own_invites=own)):
                if hit.is_live and hit.rule.name in names and any(why.trigger in OF_WORDS for why in hit.why):
                    log.info("an answer hits a rule", space=spot.space, rule=hit.rule.name)
                    return hit.rule.name
        return ""

    def _facts(self, spot: Spot, text: str, now: float) -> Facts:
        if self._classifier is None:
            return Facts(now, spot.space)
        classifier = self._classifier
        return Facts(now, spot.space, scores=lambda: classifier.scores(text), thresholds=classifier.thresholds)
