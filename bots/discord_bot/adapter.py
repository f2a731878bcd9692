"""Receives from Discord's gateway: every event becomes a value of the core's and goes into the inbox.

discord.py keeps the connection (heartbeats, resume, reconnect) and the guilds; messages and interactions come
as raw payloads. A resumed session brings what was missed by itself; after a new session the history is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Coroutine, Sequence
from typing import Any

import aiohttp
import discord
import structlog

from bots.adapter import Inbox
from bots.discord_bot import catch_up, commands, translate
from bots.discord_bot.commands import Memory, SlashCommand
from bots.discord_bot.endpoints import Hook, hook, parser, point
from bots.discord_bot.intake import Intake
from bots.discord_bot.interactions import DEFERRED_MESSAGE, DEFERRED_UPDATE, Deferrals
from bots.discord_bot.rest import Rest
from bots.discord_bot.rooms import Rooms
from core.errors import OutboundError, SettingsError, StorageError
from core.message import ConversationKey, Incoming, Message, Platform
from core.settings import DiscordSettings

IDENTIFY_PAUSE = 5.0
"""Seconds before a new session: Discord lets a bot identify once in five seconds."""
SILENCE = 60.0
"""Seconds without a sign of life from Discord, which beats every 41, after which the connection is made anew."""
LAST_WORDS = 5.0
"""Seconds that a stop may take to store what has been received."""
CLOSE_SECONDS = 3.0
MAX_LOGIN_PAUSE = 60.0
REGISTER_PAUSES = (2.0, 10.0, 60.0, 300.0)
"""Seconds after a registration of the commands that failed; a new session tries again anyway."""
NO_CONTENT_INTENT = (
    "DISCORD_TOKEN: this bot may not read messages yet. Open discord.com/developers/applications, choose the "
    "application, then Bot, and switch on “Message Content Intent”."
)
NOT_KNOWN = (
    "DISCORD_TOKEN is wrong: Discord does not know it. Open discord.com/developers/applications, choose the "
    "application, then Bot, “Reset Token”, and copy the new one."
)
CLOSED_FOR_GOOD = {
    4004: NOT_KNOWN,
    4011: "DISCORD_TOKEN: this bot is in too many servers for one connection. Parley does not split them yet.",
    4014: NO_CONTENT_INTENT,
}

log = structlog.get_logger()


class _Client(discord.Client):
    """discord.py's client with the least of everything: no message cache, no member cache, four intents."""

    def __init__(self, identify_pause: float, silence: float) -> None:
        intents = discord.Intents.none()
        intents.guilds = intents.guild_messages = intents.dm_messages = intents.message_content = True
        super().__init__(
            intents=intents,
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=0.0,
            heartbeat_timeout=silence,
        )
        self._identify_pause = identify_pause

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        if not initial:
            await asyncio.sleep(self._identify_pause)


class DiscordAdapter:
    """The receiving side. ``recent`` is asked after each new session, for the catch-up."""

    platform = Platform.DISCORD

    def __init__(
        self,
        settings: DiscordSettings,
        rest: Rest,
        deferrals: Deferrals,
        *,
        rows: Sequence[SlashCommand],
        memory: Memory,
        recent: catch_up.Recent,
        identify_pause: float = IDENTIFY_PAUSE,
        silence: float = SILENCE,
    ) -> None:
        self._settings = settings
        self._rest = rest
        self._deferrals = deferrals
        self._rows = rows
        self._private = frozenset(row.name for row in rows if row.private)
        self._memory = memory
        self._recent = recent
        self._identify_pause = identify_pause
        self._silence = silence
        self._intake = Intake(self._start_catch_up)
        self._ready = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._bot = ""

    async def ready(self) -> None:
        await self._ready.wait()

    async def run(self, inbox: Inbox) -> None:
        point(self._settings)
        drain = asyncio.create_task(self._intake.drain(inbox))
        connection = asyncio.create_task(self._connect())
        try:
            await asyncio.wait([drain, connection], return_when=asyncio.FIRST_COMPLETED)
            for task in (drain, connection):
                if task.done():
                    task.result()
        finally:
            tasks = (connection, drain, *self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._intake.finish(inbox, LAST_WORDS)
            await self._deferrals.close()

    # ------------------------------------------------------------------ the connection
    async def _connect(self) -> None:
        client = await self._log_in()
        try:
            await client.connect()
        except discord.PrivilegedIntentsRequired:
            raise SettingsError(NO_CONTENT_INTENT) from None
        except discord.ConnectionClosed as error:
            sentence = CLOSED_FOR_GOOD.get(error.code, f"Discord closed the connection for good: code {error.code}.")
            raise SettingsError(sentence) from None
        finally:
            await _close(client)

    async def _log_in(self) -> discord.Client:
        """A client that is logged in. Tries as long as Discord cannot be reached."""
        token = self._settings.token.get_secret_value().strip()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise SettingsError(NOT_KNOWN)
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
        client = _Client(self._identify_pause, self._silence)
        self._rooms = Rooms(client)
        build_up = parser(client, "READY")

        def ready(payload: dict[str, Any]) -> None:
            build_up(payload)
            self._begin(payload)

        hooks = {
            "MESSAGE_CREATE": self._on_message,
            "MESSAGE_UPDATE": self._on_edit,
            "MESSAGE_DELETE": self._on_deletion,
            "MESSAGE_DELETE_BULK": self._on_deletion,
            "INTERACTION_CREATE": self._on_interaction,
        }
        hook(client, {"READY": ready, **{event: _guarded(event, take) for event, take in hooks.items()}})
        return client

    def _begin(self, ready: dict[str, Any]) -> None:
        """A new session: nothing of what happened before it will come by itself."""
        self._bot = ready["user"]["id"]
        log.info("connected to Discord", bot=self._bot, guilds=len(ready["guilds"]))
        self._ready.set()
        self._start("register", self._register(ready["application"]["id"]))
        self._start_catch_up()

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Runs it beside the connection; an earlier run of the same name gives way."""
        earlier = self._tasks.pop(name, None)
        if earlier:
            earlier.cancel()
        self._tasks[name] = asyncio.create_task(work)

    # ------------------------------------------------------------------ events
    def _on_message(self, payload: dict[str, Any]) -> None:
        self._take(translate.to_message(payload, self._bot, self._rooms))

    def _on_edit(self, payload: dict[str, Any]) -> None:
        self._take(translate.to_edit(payload, self._bot, self._rooms))

    def _on_deletion(self, payload: dict[str, Any]) -> None:
        self._take(translate.to_deletion(payload, self._bot))

    def _on_interaction(self, payload: dict[str, Any]) -> None:
        call = translate.to_call(payload, self._bot, self._rooms)
        if call is None:
            return
        kind = DEFERRED_MESSAGE if payload["type"] == translate.COMMAND else DEFERRED_UPDATE
        ephemeral = kind == DEFERRED_MESSAGE and call.name in self._private
        defer = functools.partial(self._deferrals.start, payload["id"], payload["token"], kind, ephemeral=ephemeral)
        self._intake.put(call, defer)

    def _take(self, incoming: Incoming | None) -> None:
        if incoming is not None:
            self._intake.put(incoming)

    # ------------------------------------------------------------------ after a new session
    async def _register(self, application: str) -> None:
        if not self._rows:
            return
        for pause in REGISTER_PAUSES:
            try:
                await commands.sync(self._rest, application, self._rows, self._memory)
                return
            except (OutboundError, StorageError) as error:
                log.warning("slash commands could not be registered", error=str(error))
                await asyncio.sleep(pause)

    def _start_catch_up(self) -> None:
        if self._settings.catch_up:
            self._intake.pause()
            self._start("catch up", self._catch_up())

    async def _catch_up(self) -> None:
        """Looks up what was missed, channel by channel; only channels that are still to be looked at wait for it."""
        recent = await self._known()
        self._intake.hold([key.chat for key, _ in recent])
        count = 0
        try:
            for key, last_seen in recent:
                messages = await self._missed(key.chat, last_seen)
                self._intake.release(key.chat, messages)
                count += len(messages)
        except Exception:
            # Whatever it is, live messages may not wait for it.
            log.exception("the catch-up broke off")
            self._intake.hold(())
        log.info("caught up with what was missed", channels=len(recent), messages=count)

    async def _missed(self, channel: str, last_seen: str) -> list[Message]:
        guild = self._rooms.guild_of(channel)
        minutes = self._settings.catch_up_minutes
        payloads = await catch_up.missed(self._rest, channel, last_seen, minutes, guild)
        found: list[Message] = []

        def take(payload: dict[str, Any]) -> None:
            message = translate.to_message(payload, self._bot, self._rooms)
            if message:
                found.append(message)

        for payload in payloads:
            _guarded("history", take)(payload)
        return found

    async def _known(self) -> list[tuple[ConversationKey, str]]:
        pause = 0.1
        while True:
            try:
                recent = await self._recent()
            except StorageError as error:
                log.warning("the catch-up waits for the storage", error=str(error))
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)
            else:
                return [row for row in recent if row[0].bot == self._bot][: catch_up.MAX_CHANNELS]


def _guarded(event: str, take: Hook) -> Hook:
    """discord.py would end the connection for an exception in a hook; one odd payload must not cost the others."""

    def guarded(payload: dict[str, Any]) -> None:
        try:
            take(payload)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("an event could not be read", discord_event=event, error=repr(error), id=payload.get("id"))

    return guarded


async def _close(client: discord.Client) -> None:
    """A server that does not answer the goodbye may not hold up the end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()
    await client.http.close()
