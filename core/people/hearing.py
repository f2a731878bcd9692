"""What is heard in a space: in which channels, at which hours, and whether what is not for the bot is read along."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as Clock
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from core.access import Reading, is_owner
from core.errors import StorageError, UnreadableError
from core.message import CommandCall, Message, Platform
from core.parts import Notice
from core.people.identity import People, account_of
from core.people.spaces import USUAL, Spaces, SpaceSettings, space_id
from core.settings import Settings
from core.storage.records import LOOK_SECONDS
from core.texts import Moment

log = structlog.get_logger()

LONGEST_OVERHEARD = 1000
"""Characters kept of a message that is not for the bot."""
UTC = ZoneInfo("UTC")
_HOURS = re.compile(r"((?:[01][0-9]|2[0-3]):[0-5][0-9])\s*-\s*((?:[01][0-9]|2[0-3]):[0-5][0-9])")


class Hush(StrEnum):
    """Why nothing is answered somewhere."""

    CHANNEL = "channel"
    """An administrator closed the channel to the bot."""
    QUIET = "quiet"
    """It is one of the quiet hours."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Why nothing is answered, and until when: unix seconds, 0.0 for as long as nobody changes it."""

    why: Hush
    until: float = 0.0


def silence(
    space: SpaceSettings, channel: str, now: float, *, above: Collection[str] = (), zone: str = ""
) -> Silence | None:
    """Whether the bot is silent in a channel at that moment (unix seconds); None: it answers.

    ``above`` are ids of what the channel stands in, a thread's channel and its category: what holds for them holds for
    it. ``zone`` is the time zone where the space chose none.
    """
    if not is_open(space, (channel, *above)):
        return Silence(Hush.CHANNEL)
    until = quiet_until(space.quiet, space.time_zone or zone, now) if space.quiet else 0.0
    return Silence(Hush.QUIET, until) if until else None


def is_open(space: SpaceSettings, channels: Collection[str]) -> bool:
    """Whether people may use the bot there: nothing of it is closed, and where only some channels are open it is, or
    stands in, one of those."""
    if not set(space.not_channels).isdisjoint(channels):
        return False
    return not space.only_channels or not set(space.only_channels).isdisjoint(channels)


def quiet_until(hours: str, zone: str, now: float) -> float:
    """The end, in unix seconds, of the quiet hours that ``now`` lies in; 0.0 if it lies in none.

    ``hours`` is like ``22:00-07:00`` by the zone's clocks. Where these jump, the hours begin and end once: at the first
    of two moments of the same name, and at the first one after a moment that there is not.
    """
    bounds = parse_hours(hours)
    if bounds is None:
        return 0.0
    begin, end = bounds
    here = zone_of(zone)
    today = datetime.fromtimestamp(now, here).date()
    for day in (today - timedelta(days=1), today):
        last = day + timedelta(days=1) if end <= begin else day
        until = datetime.combine(last, end, here).timestamp()
        if datetime.combine(day, begin, here).timestamp() <= now < until:
            return until
    return 0.0


def parse_hours(hours: str) -> tuple[Clock, Clock] | None:
    """Beginning and end of hours like ``22:00-07:00``; None for anything else, and where both are the same."""
    found = _HOURS.fullmatch(hours.strip())
    if found is None or found[1] == found[2]:
        return None
    return Clock.fromisoformat(found[1]), Clock.fromisoformat(found[2])


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name in the IANA database; UTC for one that is not there."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def channels_of(value: Message | CommandCall) -> tuple[str, ...]:
    """The channel that it stands in, and what that stands in. On Telegram a topic is a channel."""
    key = value.conversation
    if key.platform is Platform.TELEGRAM:
        return tuple(filter(None, (key.thread, key.chat)))
    opens = value.opens if isinstance(value, Message) else ""
    return tuple(filter(None, (opens or key.chat, *value.within)))


def silence_for(value: Message | CommandCall, space: SpaceSettings, now: float, zone: str = "") -> Silence | None:
    """:func:`silence` where that was written; None in private chats."""
    if not value.space or space is USUAL:
        return None
    channel, *above = channels_of(value)
    return silence(space, channel, now, above=above, zone=zone)


def told_of(hush: Silence, zone: str) -> Notice:
    """The sentence about it."""
    if hush.why is Hush.CHANNEL:
        return Notice("silent_channel")
    return Notice("silent_quiet", {"time": Moment(datetime.fromtimestamp(hush.until, zone_of(zone)))})


class Attention:
    """Decides on the messages of spaces where they come in. What it goes by is in memory."""

    def __init__(self, people: People, spaces: Spaces, settings: Settings) -> None:
        self._people = people
        self._spaces = spaces
        self._settings = settings

    async def reading(self, message: Message) -> Reading:
        """Whether it is answered, kept for the next answer there, or let go. Raises StorageError."""
        try:
            return await self._reading(message)
        except UnreadableError as error:
            # It holds up nothing of what comes with it: whoever takes the turn finds it, and says so.
            log.warning("it is not known what a space wants to be heard", cause=str(error))
            return Reading.IGNORE if message.overheard else Reading.ANSWER

    async def _reading(self, message: Message) -> Reading:
        space = await self._spaces.of(space_id(message.conversation, message.space))
        hush = silence_for(message, space, time.time(), self._settings.chat.time_zone)
        if hush is not None and hush.why is Hush.CHANNEL:
            return Reading.IGNORE
        is_answered = not message.overheard and (hush is None or await self._is_admin(message, space))
        if is_answered:
            return Reading.ANSWER
        is_kept = space.passive and message.text and not await self._is_shut_out(message, space)
        return Reading.OVERHEAR if is_kept else Reading.IGNORE

    async def _is_shut_out(self, message: Message, space: SpaceSettings) -> bool:
        """Whose questions are not answered is not heard by way of others' either."""
        person = await self._people.of(account_of(message.author, message.conversation.platform))
        return bool(person.blocked) or person.is_shut_out(space.roles)

    async def _is_admin(self, message: Message, space: SpaceSettings) -> bool:
        """By the setting, by the space's own word, else by the platform's, which came with the message."""
        platform = message.conversation.platform
        if is_owner(message.author, platform, self._settings.owners):
            return True
        person = await self._people.of(account_of(message.author, platform))
        role = next((space.roles[one] for one in person.known_accounts if one in space.roles), "")
        return role in ("owner", "admin") if role else message.by_admin


class Hearing:
    """The settings of one bot's spaces as its receivers need them: at once, before a message is taken in.

    :meth:`refresh` it once, then :meth:`follow`.
    """

    def __init__(self, spaces: Spaces, platform: Platform, bot: str) -> None:
        self._spaces = spaces
        self._prefix = f"{platform}:{bot}:"
        self._heard = ""
        self._chosen: dict[str, SpaceSettings] = {}
        """Those that somebody chose something for."""

    def of(self, space: str) -> SpaceSettings:
        """What holds in a space (its id on the platform)."""
        return self._chosen.get(self._prefix + space, USUAL)

    async def refresh(self) -> None:
        """Reads what has changed. Raises StorageError."""
        records, is_first = self._spaces.records, not self._heard
        heard, changed = await records.changed_since(self._heard)
        for id in await records.ids() if is_first else changed:
            if not id.startswith(self._prefix):
                continue
            try:
                self._chosen[id] = (await records.fresh(id)).value
            except UnreadableError as error:
                log.warning("what a space chose is left as it was", cause=str(error))
        self._heard = heard

    async def follow(self) -> None:
        """Keeps up with changes, until cancelled; while the storage is away, what was known holds."""
        while True:
            try:
                await self.refresh()
            except StorageError as error:
                log.warning("settings of spaces could not be read", cause=str(error))
            await asyncio.sleep(LOOK_SECONDS)
