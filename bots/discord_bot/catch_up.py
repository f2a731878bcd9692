"""What was written while the bot was away: only the channels' history still knows it.

Looked at are the channels in which the bot lives, from the last message that it saw there, and then others that have
newer messages than the time until which the connection had heard everything: somebody may have mentioned the bot where
it was never spoken to. What was seen before is refused by the mailbox, so nothing is answered twice however often it is
found.

What was edited meanwhile is read in its new form, also the last message that was seen. Not looked up are commands and
buttons, edits of older messages, what was deleted after it had been seen, and the direct messages of somebody who has
never written to the bot: Discord tells of their channel only when the next one comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import structlog

from bots.discord_bot import permissions
from bots.discord_bot.intake import Intake
from bots.discord_bot.rest import Rest
from bots.discord_bot.snowflake import at
from core.errors import OutboundError, OutboundFault, StorageError
from core.message import ConversationKey, Incoming, Message, Platform, Sighting
from core.settings import DiscordSettings
from core.storage.shared import Place
from core.tasks import end

MAX_CHANNELS = 50
"""Channels in which the bot lives, the liveliest first."""
MAX_OTHERS = 25
"""Other channels that have something new, the newest first; of each session."""
PAGE = 100
"""The most messages that Discord gives in one call."""
TRIES = 25
"""Over several minutes: what a channel missed while Discord is in trouble is still wanted after that."""
SPACE = 0.04
"""Seconds between two reads of a process: half of what Discord allows a bot in all is left for the answers."""
PAUSE, LONGEST_PAUSE = 0.2, 15.0
MAX_WAIT = 30.0
"""Longest wait, in seconds, for a rate limit of Discord's."""
QUIET_SECONDS = 3.0
"""After so long without another guild, those that are still missing are taken for unavailable."""
SLACK = 5.0
"""Seconds before the last word of a connection from which on messages are looked for again: some may be overtaken."""
CHANNELS_WITH_TEXT = frozenset((0, 2, 5, 10, 11, 12, 13))
"""Types of channels that hold messages themselves; a forum's are in its threads."""
READABLE = permissions.VIEW_CHANNEL | permissions.READ_MESSAGE_HISTORY

Recent = Callable[[str], Awaitable[Sequence[Place]]]
"""The places in which the bot of this id lives, the liveliest first."""
Read = Callable[[dict[str, Any]], Sequence[Incoming]]
"""What a payload of the history means to the bot."""
Complete = Callable[[Sequence[dict[str, Any]]], Awaitable[None]]
"""Adds to payloads what only the gateway tells, where it matters. Never fails."""

log = structlog.get_logger()


def of_shard(places: Sequence[Place], shard: int, count: int) -> list[Place]:
    """The places whose messages come over this shard, as far as they are caught up."""
    return [place for place in places if shard_of(place.space, count) == shard][:MAX_CHANNELS]


def shard_of(guild: str, count: int) -> int:
    """The shard over which a guild's events come; those of direct messages (no guild) come over the first."""
    return (int(guild) >> 22) % count if guild else 0


class CatchUp:
    """What shard ``id`` of ``count`` looks up after each new session. Close it at the end."""

    def __init__(
        self,
        id: int,
        count: int,
        bot: str,
        settings: DiscordSettings,
        rest: Rest,
        recent: Recent,
        read: Read,
        reads: asyncio.Lock,
        complete: Complete,
    ) -> None:
        """``reads`` is what all shards of a process take for a moment before each call."""
        self._id = id
        self._count = count
        self._bot = bot
        self._settings = settings
        self._rest = rest
        self._recent = recent
        self._read = read
        self._reads = reads
        self._complete = complete
        self._since = 0.0
        self._guilds: set[str] = set()
        """Guilds that the bot is in."""
        self._absent: set[str] = set()
        """Guilds that Discord has still to tell of."""
        self._others: dict[str, Place] = {}
        """Channels with something new, by id."""
        self._news = asyncio.Event()
        self._is_quiet = False
        self._task: asyncio.Task[None] | None = None

    def start(self, intake: Intake, since: float, guilds: Collection[str]) -> None:
        """After a new session: an earlier one that still runs gives way.

        ``since`` is the time until which everything was heard, 0.0 for unknown; ``guilds`` are those that Discord is
        about to tell of (:meth:`arrived`).
        """
        # What was not looked up yet of an earlier session's is still missing.
        since = min(since, self.owes)
        self._since = max(since - SLACK, self._rest.now() - self._settings.catch_up_minutes * 60) if since else 0.0
        self._guilds, self._absent, self._others, self._is_quiet = set(guilds), set(guilds), {}, False
        self._begin(intake)

    def again(self, intake: Intake) -> None:
        """In the same session: the intake had to drop something. What is still to be looked up stays so."""
        if self._task is None or self._task.done():
            self._since = 0.0
        self._begin(intake)

    def _begin(self, intake: Intake) -> None:
        """Nothing goes through the intake until it is known which channels have to wait."""
        if not self._settings.catch_up:
            return
        if self._task is not None:
            self._task.cancel()
        intake.pause()
        self._task = asyncio.create_task(self._run(intake), name=f"catch-up of shard {self._id}")

    @property
    def owes(self) -> float:
        """Unix seconds from which on something may still have to be looked up; infinity when nothing has."""
        return self._since if self._since and not self._is_over else math.inf

    @property
    def _is_over(self) -> bool:
        return self._task is None or self._task.done()

    def arrived(self, guild: Mapping[str, Any]) -> None:
        """GUILD_CREATE."""
        self._guilds.add(guild["id"])
        if guild.get("unavailable") or self._is_over:
            return
        self._absent.discard(guild["id"])
        if self._since:
            self._others |= {place.conversation.chat: place for place in self._newer(guild)}
        self._news.set()

    async def close(self) -> None:
        if self._task is not None:
            await end([self._task])

    async def _run(self, intake: Intake) -> None:
        try:
            known = [place for place in await self._places() if not place.space or place.space in self._guilds]
            left = of_shard(known, self._id, self._count)
            intake.hold([place.conversation.chat for place in left])
            done = await self._look_at_places(intake, left)
            await self._look_at_others(intake, left, done)
        except Exception:
            # Whatever it is, live messages may not wait for it.
            log.exception("the catch-up broke off")
            intake.hold(())

    async def _look_at_places(self, intake: Intake, left: list[Place]) -> set[str]:
        """Channel by channel; only channels that are still to be looked at wait for it. Answers those that have been
        looked at for all the time since everything was heard.

        A guild has to be known before its channels are read: it tells whose a thread is, and where questions are
        answered in threads. What stays ``left`` is in guilds that have not come yet.
        """
        done, looked, count = set[str](), 0, 0
        while left:
            place = next((place for place in left if place.space not in self._absent), None)
            if place is None and self._is_quiet:
                break
            if place is None:
                await self._wait_for_guilds()
                continue
            left.remove(place)
            count += await self._look(intake, place)
            looked += 1
            if int(place.last_seen or 0) <= int(at(self._since)):
                done.add(place.conversation.chat)
        for place in left:
            intake.release(place.conversation.chat, ())
        log.info("caught up with what was missed", shard=self._id, channels=looked, messages=count)
        return done

    async def _look_at_others(self, intake: Intake, left: list[Place], done: set[str]) -> None:
        """Once all guilds are there; what is unavailable then, when it comes."""
        most = MAX_OTHERS if self._since else 0
        while most and self._absent and not self._is_quiet:
            await self._wait_for_guilds()
        while True:
            self._news.clear()
            if any(place.space not in self._absent for place in left):
                done |= await self._look_at_places(intake, left)
            found = [place for chat, place in self._others.items() if chat not in done]
            for place in sorted(found, key=lambda place: int(place.last_seen), reverse=True)[:most]:
                most -= 1
                chat = place.conversation.chat
                count = await self._look(intake, Place(place.conversation, at(self._since), place.space))
                done.add(chat)
                if count:
                    log.info("looked up what was missed in another channel", channel=chat, messages=count)
            if not left and (not most or (not self._absent and self._others.keys() <= done)):
                return
            await self._news.wait()

    async def _look(self, intake: Intake, place: Place) -> int:
        """Whoever ends this in the middle leaves the channel waiting: for who begins anew, or is next to receive."""
        chat = place.conversation.chat
        intake.park(chat)
        found: list[Incoming] = []
        payloads = await missed(self._rest, place, self._settings, self._reads)
        await self._complete(payloads)
        for payload in payloads:
            was_seen = int(payload["id"]) <= int(place.last_seen or 0)
            found += [value for value in self._read(payload) if not was_seen or _is_edit(value)]
        intake.release(chat, found)
        return sum(isinstance(value, Message) for value in found)

    async def _wait_for_guilds(self) -> None:
        """Returns when another guild is known, or when no more seem to come."""
        self._news.clear()
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                await self._news.wait()
        except TimeoutError:
            self._is_quiet = True

    def _newer(self, guild: Mapping[str, Any]) -> Iterator[Place]:
        """The channels and threads with messages after ``_since`` that the bot may read, each with its newest one."""
        since, me = int(at(self._since)), self._me(guild)
        channels = {channel["id"]: channel for channel in guild.get("channels") or ()}
        for channel in (*channels.values(), *(guild.get("threads") or ())):
            newest = channel.get("last_message_id") or "0"
            if channel.get("type") not in CHANNELS_WITH_TEXT or int(newest) <= since:
                continue
            rules = channels.get(channel.get("parent_id")) if channel["type"] in permissions.THREADS else channel
            if me is None or rules is None:
                continue
            held = permissions.in_channel(guild, rules, me, self._bot, self._rest.now())
            if held & READABLE == READABLE:
                yield Place(ConversationKey(Platform.DISCORD, self._bot, channel["id"]), newest, guild["id"])

    def _me(self, guild: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The bot as a member."""
        return next((m for m in guild.get("members") or () if m["user"]["id"] == self._bot), None)

    async def _places(self) -> Sequence[Place]:
        pause = 0.1
        while True:
            try:
                return await self._recent(self._bot)
            except StorageError as error:
                log.warning("the catch-up waits for the storage", error=str(error))
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)


async def missed(rest: Rest, place: Place, settings: DiscordSettings, reads: asyncio.Lock) -> list[dict[str, Any]]:
    """Message payloads from the last one seen on, oldest first, in the gateway's form (with ``guild_id``).

    That one is among them since it may have been edited. A channel that is gone or closed to the bot has missed
    nothing. Where there is more than ``catch_up_messages``, the oldest of it.
    """
    channel = place.conversation.chat
    since = max(int(at(rest.now() - settings.catch_up_minutes * 60)), int(place.last_seen or 0))
    after = str(max(0, since - 1))
    found: list[dict[str, Any]] = []
    with contextlib.suppress(_NotReadable):
        while len(found) < settings.catch_up_messages:
            limit = min(PAGE, settings.catch_up_messages - len(found))
            page = await _page(rest, channel, after, limit, reads)
            found += page
            if len(page) < limit:
                break
            after = page[-1]["id"]
        else:
            log.warning("a channel has more than is caught up: the rest is left out", channel=channel, read=len(found))
    more = {"guild_id": place.space} if place.space else {}
    return [{**payload, **more} for payload in found]


def _is_edit(value: Incoming) -> bool:
    return isinstance(value, Message | Sighting) and value.edited


class _NotReadable(Exception):
    """Nothing more can be read there."""


async def _page(rest: Rest, channel: str, after: str, limit: int, reads: asyncio.Lock) -> list[dict[str, Any]]:
    """The messages that follow ``after``, oldest first. Tried again after limits and failures of the network."""
    for attempt in range(TRIES):
        try:
            query = {"after": after, "limit": str(limit)}
            async with reads:
                await asyncio.sleep(SPACE)
            return list(reversed(await rest.call("GET", f"/channels/{channel}/messages", query=query) or []))
        except OutboundError as error:
            hopeless = error.fault not in (OutboundFault.RATE_LIMITED, OutboundFault.TRANSIENT)
            if hopeless or attempt == TRIES - 1:
                log.warning("a channel could not be caught up", channel=channel, error=str(error))
                raise _NotReadable from error
            await asyncio.sleep(min(MAX_WAIT, error.retry_after or min(LONGEST_PAUSE, PAUSE * 2**attempt)))
    raise AssertionError("unreachable")
