"""One shard: a connection to Discord's gateway, and the way of what comes over it into the inbox.

discord.py keeps the guilds; messages and interactions come as raw payloads. A resumed session brings what was missed
by itself; after a new session the history is asked. All of it happens under the shard's lease: what comes when the
lease may be another's is not accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import discord
import structlog

from bots.adapter import Inbox
from bots.discord_bot import catch_up, joining, sighting, translate, watching
from bots.discord_bot.catch_up import CatchUp
from bots.discord_bot.endpoints import Hook, converse, hook, parser
from bots.discord_bot.identity import NOT_KNOWN
from bots.discord_bot.intake import Intake
from bots.discord_bot.intents import Intents
from bots.discord_bot.interaction_intake import InteractionIntake
from bots.discord_bot.rest import Rest
from bots.discord_bot.rooms import Rooms
from bots.discord_bot.starts import Starts
from core.errors import ParleyError, SettingsError, StorageError
from core.message import Incoming, Platform
from core.people.hearing import Hearing
from core.settings import DiscordSettings
from core.storage.alive import Alive
from core.storage.channels import Channels
from core.storage.leases import Held, Leases
from core.storage.spaces_seen import SpacesSeen
from core.tasks import end

MAX_WAITING = 10_000
"""Events held while Redis does not answer, by all shards together: about 20 MB of ordinary messages."""
LEAST_WAITING = 500
"""A shard's part of them, however many shards there are."""
LAST_WORDS = 5.0
"""Seconds that an end may take to store what has been received."""
CLOSE_SECONDS = 3.0
MAX_LOGIN_PAUSE = 60.0
LEASE_PAUSE = 0.05
"""Seconds between two looks whether a doubtful lease is ours again."""
SHARDS_TOO_FEW, INTENTS_REFUSED = 4011, 4014
NO_CONTENT_INTENT = (
    "DISCORD_TOKEN: this bot may not read messages yet. Open discord.com/developers/applications, choose the "
    "application, then Bot, and switch on “Message Content Intent”."
)
TOO_FEW = (
    "discord.shards is wrong: found {count}. Discord wants more connections for a bot in so many servers. "
    "Set it to 0 to use the number that Discord recommends; with --shards, write that number behind the stroke."
)
OUR_FAULT = "Discord does not take this version's way of connecting: please install the newest Parley, or report it"
"""An invalid version, intent or shard: nothing that an owner has set."""
CLOSED_FOR_GOOD = {4004: NOT_KNOWN, SHARDS_TOO_FEW: TOO_FEW, INTENTS_REFUSED: NO_CONTENT_INTENT}

log = structlog.get_logger()


class OutgrownError(ParleyError):
    """Discord wants more shards than there are, and the number is ours to choose."""


class _Client(discord.Client):
    """discord.py's client with the least of everything: no message cache, no member cache, five intents, and one
    more for who comes and goes."""

    def __init__(self, shard: int, count: int, silence: float, *, members: bool) -> None:
        intents = discord.Intents.none()
        intents.guilds = intents.guild_messages = intents.dm_messages = intents.message_content = True
        intents.guild_reactions, intents.members = True, members
        super().__init__(
            shard_id=shard,
            shard_count=count,
            intents=intents,
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=0.0,
            heartbeat_timeout=silence,
        )


@dataclass(frozen=True, slots=True)
class Equipment:
    """What all shards of a process use."""

    settings: DiscordSettings
    bot: str
    """The bot's account id."""
    rest: Rest
    starts: Starts
    leases: Leases
    recent: catch_up.Recent
    reads: asyncio.Lock
    """Spaces the reads of all their catch-ups."""
    alive: Alive
    channels: Channels
    hearing: Hearing
    """What people chose for channels."""
    interactions: InteractionIntake
    spaces: SpacesSeen
    intents: Intents
    silence: float
    """Seconds without a sign of life from Discord after which a connection is made anew."""
    began: Callable[[str], None]
    """Told the application's id when a session has begun."""


class Shard:
    """Shard ``id`` of ``count`` while ``held`` is ours. :meth:`run` it once."""

    def __init__(self, id: int, count: int, held: Held, equipment: Equipment, connected: Callable[[], None]) -> None:
        """``connected`` is told of every new session."""
        self.id = id
        self.count = count
        self.is_connected = False
        self.is_leaving = False
        self._held = held
        self._with = equipment
        self._connected = connected
        self._intake = Intake(self._look_again, max(LEAST_WAITING, MAX_WAITING // count))
        self._leave = asyncio.Event()
        e = equipment
        self._catch_up = CatchUp(id, count, e.bot, e.settings, e.rest, e.recent, self._read, e.reads, self._complete)
        self._heard = 0.0
        """Unix seconds until which everything was heard; 0.0 while that is unknown."""
        self._has_begun = False

    def leave(self) -> None:
        """Ends :meth:`run` in good order: what was received is stored, then the lease is given back."""
        self.is_leaving = True
        self._leave.set()

    async def run(self, inbox: Inbox) -> None:
        """Receives until told to leave, or until another process has the lease.

        Raises SettingsError for a wrong token and the like, OutgrownError.
        """
        fenced = _Fenced(inbox, self)
        work = [asyncio.create_task(w) for w in (self._intake.drain(fenced), self._connect(), self._keep_lease())]
        leave = asyncio.create_task(self._leave.wait())
        try:
            await asyncio.wait((*work, leave), return_when=asyncio.FIRST_COMPLETED)
            self.is_leaving = True
            for task in work:
                if task.done():
                    task.result()
        finally:
            await end((*work, leave))
            await self._catch_up.close()
            await self._intake.finish(fenced, LAST_WORDS if self.is_ours else 0.0)
            await self._held.release()

    # ------------------------------------------------------------------ the lease
    @property
    def is_ours(self) -> bool:
        """Whether what comes over this connection may be accepted."""
        return self._held.is_ours

    async def _keep_lease(self) -> None:
        """Returns when another process has the shard.

        A lease also runs out while the storage is away, for everybody: then it is taken again with the same
        connection, which has missed nothing.
        """
        while True:
            await self._held.lost.wait()
            again = None
            with contextlib.suppress(StorageError):
                if (again := await self._with.leases.take(self._held.name)) is None:
                    log.warning("another process has the shard", shard=self.id)
                    return
            if again is None:
                await asyncio.sleep(LEASE_PAUSE)
            else:
                self._held = again

    # ------------------------------------------------------------------ the connection
    @property
    def name(self) -> str:
        """Among all shards of the bot that were ever run."""
        return f"{self.id}/{self.count}"

    @property
    def heard(self) -> float:
        """Unix seconds until which everything was heard and stored; 0.0 while that is unknown."""
        return min(self._heard - self._intake.age, self._catch_up.owes) if self._has_begun else 0.0

    def _hear(self) -> None:
        if self._has_begun:
            self._heard = self._with.rest.now()

    async def _may_begin(self) -> None:
        self._has_begun = False
        await self._with.starts.wait(self.id)

    async def _connect(self) -> None:
        try:
            self._heard = await self._with.alive.until(self.name)
        except StorageError as error:
            log.warning("until when the shard was heard is not known", shard=self.id, cause=str(error))
        while not await self._converse():
            pass

    async def _converse(self) -> bool:
        """With one client; False: another one may be taken, that wants less."""
        client = await self._log_in()
        try:
            await converse(client, self._may_begin, self._hear)
            return True
        except discord.ConnectionClosed as error:
            code, fixed = error.code, self._with.settings.fixed_shards
            if code == SHARDS_TOO_FEW and not fixed:
                raise OutgrownError from None
            if code == INTENTS_REFUSED and self._with.intents.give_up():
                return False
            sentence = CLOSED_FOR_GOOD.get(code, f"{OUR_FAULT} (close code {code}).")
            raise SettingsError(sentence.format(count=fixed)) from None
        finally:
            await _close(client)

    async def _log_in(self) -> discord.Client:
        """A client that is logged in. Tries as long as Discord cannot be reached."""
        token = self._with.settings.token.get_secret_value().strip()
        pause = 1.0
        while True:
            client = self._new_client()
            try:
                await client.login(token)
                return client
            except discord.LoginFailure:
                await _close(client)
                raise SettingsError(NOT_KNOWN) from None
            except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
                await _close(client)
                log.warning("Discord cannot be reached", error=type(error).__name__, next_try_seconds=pause)
            except BaseException:
                await _close(client)
                raise
            await asyncio.sleep(pause)
            pause = min(MAX_LOGIN_PAUSE, pause * 2)

    def _new_client(self) -> discord.Client:
        client = _Client(self.id, self.count, self._with.silence, members=self._with.intents.members)
        self._rooms = Rooms(client, self._with.channels, self._with.hearing, self._with.settings)
        hooks = {
            "MESSAGE_CREATE": self._on_message,
            "MESSAGE_UPDATE": self._on_edit,
            "MESSAGE_DELETE": self._on_deletion,
            "MESSAGE_DELETE_BULK": self._on_deletion,
            "INTERACTION_CREATE": self._on_interaction,
        }
        hooks |= watching.hooks(self._with.bot, self._rooms, self._with.rest.now, self._take)
        hook(client, {event: _guarded(event, take) for event, take in hooks.items()})
        own = watching.only_own(self._with.bot, parser(client, "GUILD_MEMBER_UPDATE"))
        hook(client, {"GUILD_MEMBER_UPDATE": own})
        # After discord.py has built up what they tell of.
        hook(client, {"READY": _both(parser(client, "READY"), self._begin)})
        arrived = _guarded("GUILD_CREATE", self._on_guild)
        hook(client, {"GUILD_CREATE": _both(parser(client, "GUILD_CREATE"), arrived)})
        for event in translate.DEPARTURES:
            # Asked before discord.py forgets what lies under it.
            first, then = _guarded(event, functools.partial(self._on_departure, event)), parser(client, event)
            hook(client, {event: _both(first, then)})
        return client

    def _begin(self, ready: dict[str, Any]) -> None:
        """A new session: nothing of what happened before it will come by itself."""
        log.info("connected to Discord", shard=self.id, of=self.count, guilds=len(ready["guilds"]))
        self.is_connected = True
        self._connected()
        self._catch_up.start(self._intake, self._heard, [guild["id"] for guild in ready["guilds"]])
        self._has_begun = True
        self._with.began(ready["application"]["id"])

    # ------------------------------------------------------------------ events
    def _on_message(self, payload: dict[str, Any]) -> None:
        self._see(payload)
        self._take(translate.to_message(payload, self._with.bot, self._rooms))

    def _on_edit(self, payload: dict[str, Any]) -> None:
        if payload.get("edited_timestamp"):
            self._see(payload)
        self._take(translate.to_edit(payload, self._with.bot, self._rooms))

    def _see(self, payload: dict[str, Any]) -> None:
        """For the rules, before it may be a message for the bot."""
        if sighting.is_watched(payload, self._rooms):
            self._take(sighting.to_sighting(payload, self._with.bot, self._rooms))

    def _on_deletion(self, payload: dict[str, Any]) -> None:
        for deletion in translate.to_deletions(payload, self._with.bot, self._rooms):
            self._take(deletion)

    def _on_guild(self, payload: dict[str, Any]) -> None:
        self._catch_up.arrived(payload)
        if not payload.get("unavailable"):
            self._with.spaces.saw(
                Platform.DISCORD,
                self._with.bot,
                str(payload["id"]),
                str(payload.get("name") or ""),
                members=int(payload.get("member_count") or 0),
                channel=str(payload.get("system_channel_id") or ""),
            )
        self._take(joining.greeting(payload, self._with.bot, self._with.rest.now()))

    def _on_departure(self, event: str, payload: dict[str, Any]) -> None:
        for departure in translate.to_departures(event, payload, self._with.bot, self._rooms):
            self._take(departure)

    def _on_interaction(self, payload: dict[str, Any]) -> None:
        self._with.interactions.take(payload, self._with.bot, self._rooms)

    def _take(self, incoming: Incoming | None) -> None:
        if incoming is not None:
            self._intake.put(incoming)

    # ------------------------------------------------------------------ what was missed
    def _look_again(self) -> None:
        """The intake has overflown."""
        self._catch_up.again(self._intake)

    async def _complete(self, payloads: Sequence[dict[str, Any]]) -> None:
        """A history does not tell who of its authors is of the staff."""
        watched = [payload for payload in payloads if sighting.is_watched(payload, self._rooms)]
        await watching.complete(watched, self._with.rest, self._with.reads)

    def _read(self, payload: dict[str, Any]) -> list[Incoming]:
        """What an entry of a channel's history means: a message, and the edit of it that may be all that is new."""
        found: list[Incoming] = []

        def take(payload: dict[str, Any]) -> None:
            if sighting.is_watched(payload, self._rooms):
                found.extend(filter(None, (sighting.to_sighting(payload, self._with.bot, self._rooms),)))
            both = (translate.to_message, translate.to_edit)
            found.extend(filter(None, (read(payload, self._with.bot, self._rooms) for read in both)))

        _guarded("history", take)(payload)
        return found


class _Fenced:
    """The inbox, open while the lease is ours."""

    def __init__(self, inbox: Inbox, shard: Shard) -> None:
        self._inbox = inbox
        self._shard = shard

    async def accept(self, incoming: Sequence[Incoming]) -> None:
        # A lease ends by the clock, which tells nobody.
        while not self._shard.is_ours:  # noqa: ASYNC110
            await asyncio.sleep(LEASE_PAUSE)
        await self._inbox.accept(incoming)


def _guarded(event: str, take: Hook) -> Hook:
    """discord.py would end the connection for an exception in a hook; one odd payload must not cost the others."""

    def guarded(payload: dict[str, Any]) -> None:
        try:
            take(payload)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("an event could not be read", discord_event=event, error=repr(error), id=payload.get("id"))

    return guarded


def _both(first: Hook, then: Hook) -> Hook:
    def both(payload: dict[str, Any]) -> None:
        first(payload)
        then(payload)

    return both


async def _close(client: discord.Client) -> None:
    """A server that does not answer the goodbye may not hold up the end."""
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await client.close()
    finally:
        await client.http.close()
