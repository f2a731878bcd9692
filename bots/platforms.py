"""The platforms that the settings switch on: one function each, importing only what that platform needs."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pydantic import SecretStr

from bots import pacing
from bots.adapter import Adapter, Outbound
from bots.pacing import Pacer
from core.commands.table import COMMANDS
from core.message import Platform
from core.models.catalog import Catalog
from core.settings import Settings
from core.storage.client import Store
from core.storage.leases import Leases
from core.storage.shared import Memory, Places, SharedPermits, Sightings

if TYPE_CHECKING:
    from bots.discord_bot.commands import SlashCommand


@dataclass(frozen=True, slots=True)
class Connection:
    """A platform that is switched on: how answers get there, and how to receive from it."""

    outbound: Outbound
    pacer: Pacer
    close: Callable[[], Awaitable[None]]
    bot: Callable[[], Awaitable[str]]
    """The bot's account id, which conversations are named by. Tries until the platform tells it."""
    receiver: Callable[[], Receiver]
    """Builds the receiving side. Only a process that receives calls it: its imports are the heavy ones."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """The receiving side of a platform."""

    adapter: Adapter
    address: Callable[[], Awaitable[str]] | None = None
    """Where people go, if the platform is ours."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What platforms need of the rest."""

    settings: Settings
    store: Store
    catalog: Catalog
    places: Places
    leases: Leases


def telegram(shared: Shared) -> Connection | None:
    settings = shared.settings.telegram
    if not settings.token.get_secret_value():
        return None
    from bots.telegram_bot.api import Api
    from bots.telegram_bot.outbound import TelegramOutbound
    from bots.telegram_bot.seen import Seen

    api = Api(settings)
    number = settings.token.get_secret_value().partition(":")[0].strip()
    seen = Seen(Sightings(shared.store, f"telegram:{number}"))

    def receiver() -> Receiver:
        from bots.telegram_bot.adapter import TelegramAdapter

        memory = Memory(shared.store)
        menu = [(row.name, row.summary) for row in COMMANDS if row.listed and not row.for_owner]
        limit = shared.settings.chat.max_image_bytes
        adapter = TelegramAdapter(settings, api, seen, shared.leases, memory, commands=menu, image_limit=limit)
        return Receiver(adapter)

    async def bot() -> str:
        # A token begins with the bot's id.
        return number

    async def close() -> None:
        await seen.close()
        await api.close()

    pacer = _pacer(pacing.TELEGRAM, settings.token, shared)
    return Connection(TelegramOutbound(api, seen), pacer, close, bot, receiver)


def discord(shared: Shared) -> Connection | None:
    settings = shared.settings.discord
    token = settings.token.get_secret_value()
    if not token:
        return None
    from bots.discord_bot.identity import bot_id
    from bots.discord_bot.interactions import Deferrals
    from bots.discord_bot.outbound import DiscordOutbound
    from bots.discord_bot.rest import Rest

    rest = Rest(settings.api_base, token)
    deferrals = Deferrals(rest)

    def receiver() -> Receiver:
        from bots.discord_bot.adapter import DiscordAdapter

        return Receiver(
            DiscordAdapter(
                settings,
                rest,
                deferrals,
                rows=_slash_rows(),
                store=shared.store,
                leases=shared.leases,
                memory=Memory(shared.store),
                recent=partial(shared.places.recent, Platform.DISCORD),
            )
        )

    pacer = _pacer(pacing.DISCORD, settings.token, shared)
    outbound = DiscordOutbound(settings, rest, deferrals)
    return Connection(outbound, pacer, rest.close, partial(bot_id, rest, token), receiver)


def _slash_rows() -> list[SlashCommand]:
    from bots.discord_bot.commands import SlashCommand, SlashOption

    return [
        SlashCommand(
            row.name,
            row.summary,
            tuple(
                SlashOption(o.name, o.summary, required=o.required, descriptions={"zh-CN": o.summary_zh})
                for o in (row.option,)
                if o is not None
            ),
            private=row.private,
            descriptions={"zh-CN": row.summary_zh},
            # Shown to a server's administrators only; who may use it is decided when it is called.
            permissions=0 if row.for_owner else None,
        )
        for row in COMMANDS
        if row.listed
    ]


def web(shared: Shared) -> Connection | None:
    settings = shared.settings
    if settings.web.port == 0:
        return None
    from bots.web_chat import ids
    from bots.web_chat.outbound import WebOutbound
    from bots.web_chat.redis_store import RedisWebStore

    web_store = RedisWebStore(
        shared.store, keep_days=settings.storage.keep_days, max_messages=settings.storage.max_messages
    )

    def models() -> list[str]:
        default = shared.catalog.default
        names = [model.name for model in shared.catalog.models]
        return sorted(names, key=lambda name: default is None or name != default.name)

    def receiver() -> Receiver:
        from bots.web_chat.adapter import WebAdapter

        adapter = WebAdapter(settings.web, web_store, models)
        return Receiver(adapter, adapter.entry_url)

    async def bot() -> str:
        return ids.BOT

    async def close() -> None:
        return None

    return Connection(WebOutbound(web_store), Pacer(pacing.WEB), close, bot, receiver)


def _pacer(limits: pacing.Limits, token: SecretStr, shared: Shared) -> Pacer:
    """One budget for all processes of a bot. The bucket's name tells bots apart and nothing of the token."""
    name = hashlib.sha256(token.get_secret_value().encode()).hexdigest()[:16]
    return Pacer(limits, name, permits=SharedPermits(shared.store))


PLATFORMS: tuple[tuple[Platform, Callable[[Shared], Connection | None]], ...] = (
    (Platform.TELEGRAM, telegram),
    (Platform.DISCORD, discord),
    (Platform.WEB, web),
)
