"""A space's own invitations, which are no advertising: asked of its platform when one is seen, known for a while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from time import monotonic

import structlog

from core.errors import OutboundError, RightsUnknownError
from core.moderation import hosts
from core.moderation.enforcer import Site
from core.people.spaces import space_id

log = structlog.get_logger()

KNOWN_SECONDS = 600.0
"""How long what the platform told counts."""
AGAIN_SECONDS = 30.0
"""Not sooner it is asked again, also where an invitation is seen that it did not tell of: it may be new."""
PATIENCE_SECONDS = 3.0
"""What was seen waits no longer for the platform; what was known before counts then."""
MOST_SPACES = 5000

Asks = Callable[[Site], Awaitable[Sequence[str]]]
"""Invitations to a space as its platform tells them (``Enforcer.invites``)."""


@dataclass(frozen=True, slots=True)
class _Told:
    codes: frozenset[str] = frozenset()
    at: float = float("-inf")
    """When it was asked, by the monotonic clock."""


class OwnInvites:
    """Of all spaces that this process receives."""

    def __init__(self, asks: Asks, *, clock: Callable[[], float] = monotonic) -> None:
        self._asks = asks
        self._clock = clock
        self._told: OrderedDict[str, _Told] = OrderedDict()
        """By ``core.people.spaces.space_id``."""

    async def of(self, site: Site) -> frozenset[str]:
        """The codes of invitations to the space itself, in small letters. Never fails."""
        return await self._known(site, lambda told: KNOWN_SECONDS)

    async def among(self, site: Site, text: str, links: Collection[str]) -> frozenset[str]:
        """The codes of invitations to the space itself, in small letters; none where a text and its links invite to
        nothing. Never fails: what the platform does not tell is not known."""
        seen = {code.casefold() for code in hosts.invites(text, links)}
        if not seen:
            return frozenset()
        return await self._known(site, lambda told: KNOWN_SECONDS if seen <= told else AGAIN_SECONDS)

    async def _known(self, site: Site, seconds: Callable[[frozenset[str]], float]) -> frozenset[str]:
        """What was told is asked for again after so long."""
        key = space_id(site.conversation, site.space)
        told, now = self._told.get(key, _Told()), self._clock()
        if now - told.at >= seconds(told.codes):
            told = _Told(await self._asked(site, told.codes), now)
            self._told[key] = told
            self._told.move_to_end(key)
            if len(self._told) > MOST_SPACES:
                self._told.popitem(last=False)
        return told.codes

    async def _asked(self, site: Site, known: frozenset[str]) -> frozenset[str]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                found = await self._asks(site)
        except (OutboundError, RightsUnknownError, TimeoutError) as error:
            log.info("a space's own invitations are not known", space=site.space, cause=str(error))
            return known
        written = {one.casefold() for one in found if "/" not in one}
        linked = hosts.invites("", [one for one in found if "/" in one])
        return frozenset(written).union(map(str.casefold, linked))
