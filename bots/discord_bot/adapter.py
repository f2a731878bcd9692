"""Receives from Discord's gateway, as one of any number of processes: each runs its share of the shards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from bots.adapter import Inbox
from bots.discord_bot import catch_up, commands
from bots.discord_bot.commands import Memory
from bots.discord_bot.endpoints import point
from bots.discord_bot.identity import NOT_KNOWN, bot_id
from bots.discord_bot.intents import Intents
from bots.discord_bot.interaction_intake import InteractionIntake
from bots.discord_bot.rest import Rest
from bots.discord_bot.shard import Equipment
from bots.discord_bot.shards import Shards
from bots.discord_bot.starts import Starts, allowance
from core.commands.row import Command
from core.errors import OutboundError, SettingsError, StorageError
from core.message import Platform
from core.people.hearing import Hearing
from core.people.spaces import Spaces
from core.settings import DiscordSettings
from core.storage.alive import Alive
from core.storage.channels import Channels
from core.storage.client import Store
from core.storage.fleet import Fleet
from core.storage.leases import Leases
from core.storage.spaces_seen import SpacesSeen
from core.tasks import end, to_the_end

SILENCE = 60.0
"""Seconds without a sign of life from Discord, which beats every 41, after which a connection is made anew."""
REGISTER_PAUSES = (2.0, 10.0, 60.0, 300.0)
"""Seconds after a registration of the commands that failed; a new session tries again anyway."""

LAST_WORDS, FINISH_SECONDS = 5.0, 15.0
"""Seconds at the end for storing the commands that were taken in, and for answering all interactions."""
CHOICES_PAUSE = 0.5
"""Seconds between two tries to read what people chose."""

log = structlog.get_logger()


class DiscordAdapter:
    """The receiving side. ``recent`` is asked after each new session, for the catch-up."""

    platform = Platform.DISCORD

    def __init__(
        self,
        settings: DiscordSettings,
        rest: Rest,
        *,
        rows: Sequence[Command],
        store: Store,
        leases: Leases,
        memory: Memory,
        recent: catch_up.Recent,
        interactions: InteractionIntake,
        spaces: SpacesSeen,
        silence: float = SILENCE,
    ) -> None:
        self._settings = settings
        self._rest = rest
        self._rows = rows
        self._store = store
        self._leases = leases
        self._memory = memory
        self._recent = recent
        self._interactions = interactions
        self._spaces = spaces
        self._silence = silence
        self._ready = asyncio.Event()
        self._registering: asyncio.Task[None] | None = None
        self._is_registered = False

    async def ready(self) -> None:
        """Every shard of this process is connected, or others have them all."""
        await self._ready.wait()

    async def run(self, inbox: Inbox) -> None:
        token = self._settings.token.get_secret_value().strip()
        if not token.isascii() or not token.isprintable() or " " in token:
            raise SettingsError(NOT_KNOWN)
        point(self._settings)
        granted = await allowance(self._rest)
        bot = await bot_id(self._rest, token)
        intents = Intents(self._settings.members)
        await intents.look(self._rest)
        fleet = Fleet(self._store, f"discord:{bot}", self._leases.owner, seconds=self._leases.seconds)
        channels, hearing = Channels(self._store, self.platform, bot), Hearing(Spaces(self._store), self.platform, bot)
        # What people chose, also while this process was away, is read before any message is taken.
        await _read(channels)
        await _read(hearing)
        equipment = Equipment(
            settings=self._settings,
            bot=bot,
            rest=self._rest,
            starts=Starts(self._rest, fleet, granted.side_by_side, self._settings.identify_seconds),
            leases=self._leases,
            recent=self._recent,
            reads=asyncio.Lock(),
            alive=Alive(self._store, f"discord:{bot}"),
            channels=channels,
            hearing=hearing,
            interactions=self._interactions,
            spaces=self._spaces,
            intents=intents,
            silence=self._silence,
            began=self._start_registration,
        )
        shards = Shards(fleet, self._leases, equipment, self._ready)
        following = [asyncio.create_task(chosen.follow()) for chosen in (channels, hearing)]
        self._interactions.start(inbox)
        try:
            await shards.run(inbox)
        finally:
            try:
                await end([*following, *([self._registering] if self._registering else ())])
            finally:
                await to_the_end(self._interactions.finish(inbox, LAST_WORDS), FINISH_SECONDS)

    # ------------------------------------------------------------------ commands
    def _start_registration(self, application: str) -> None:
        """Once in a process: a later session of an older program must not bring its commands back."""
        if self._rows and not self._is_registered and (self._registering is None or self._registering.done()):
            self._registering = asyncio.create_task(self._register(application))

    async def _register(self, application: str) -> None:
        for pause in REGISTER_PAUSES:
            held = await self._leases.wait(f"discord:{application}:commands")
            try:
                await commands.sync(self._rest, application, self._rows, self._memory)
                self._is_registered = True
                return
            except (OutboundError, StorageError) as error:
                log.warning("slash commands could not be registered", error=str(error))
            finally:
                await held.release()
            await asyncio.sleep(pause)


async def _read(chosen: Channels | Hearing) -> None:
    while True:
        try:
            await chosen.refresh()
            return
        except StorageError as error:
            log.warning("what people chose is waited for", error=str(error))
            await asyncio.sleep(CHOICES_PAUSE)
