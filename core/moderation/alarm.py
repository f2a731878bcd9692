"""Tells the moderators of a space what they should look at now."""

from __future__ import annotations

import time

import structlog

from core.message import ConversationKey, Platform
from core.moderation.carrying import Acts
from core.moderation.durations import HOUR
from core.moderation.enforcer import Site
from core.people.spaces import Spaces
from core.storage.shared import Once
from core.texts import Value, say

log = structlog.get_logger()


class Alarm:
    """One for the process."""

    def __init__(self, acts: Acts, spaces: Spaces, once: Once) -> None:
        self._acts = acts
        self._spaces = spaces
        self._once = once

    async def tell(self, space: str, key: str, *, about: str = "", seconds: int = HOUR, **values: Value) -> bool:
        """Says the sentence in the channel of the log, else of the reports, once in so many seconds for what it is
        ``about``; whether it was said, now or before. Raises StorageError."""
        platform, bot, id = space.split(":")
        settings, enforcer = await self._spaces.of(space), self._acts.enforcer(platform)
        channel = settings.log_channel or await self._acts.cases.channel(space)
        if enforcer is None or not channel:
            log.warning("moderators could not be told", space=space, what=key)
            return False
        what = f"alarm {space} {key} {about}"
        if not await self._once.may(what, seconds):
            return True
        text = say(key, settings.language, **values)
        site = Site(ConversationKey(Platform(platform), bot, id), id)
        is_told = await enforcer.post(site, channel, text, f"alarm {key} {about} {time.time():.0f}")
        if not is_told:
            await self._once.give_back(what)
        return is_told
