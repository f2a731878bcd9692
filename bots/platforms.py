"""The platforms that the settings switch on: one function each, importing only what that platform needs."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import SecretStr

from bots import pacing
from bots.adapter import Adapter, Outbound
from bots.delivery import Elsewhere
from bots.pacing import Pacer
from core.commands.suggesting import Suggestions
from core.commands.table import working
from core.conversation.above import Earlier
from core.conversation.history import History
from core.conversation.moving import Mover
from core.message import Platform
from core.models.catalog import Catalog
from core.moderation.enforcer import Enforcer
from core.moderation.members import Members
from core.moderation.native import NativeRules
from core.people.access import Access, IsAdmin, May, StandingOf
from core.people.community import Community
from core.people.hearing import Hearing
from core.settings import Owners, Settings
from core.storage.client import Store
from core.storage.forms import Forms
from core.storage.inline import InlineQuestions
from core.storage.leases import Leases
from core.storage.shared import Memory, Once, Places, SharedPermits, Sightings
from core.storage.tally import Tally
from core.storage.watched import Watched


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
    is_admin: IsAdmin | None = None
    """Whether a caller may choose for all in a group, where the platform tells; else everybody may."""
    may: May | None = None
    """Whether a caller has a right where they are; without it only the owners have any."""
    standing: StandingOf | None = None
    """What somebody is in a space, where the platform has spaces."""
    members: Members | None = None
    """The people of its spaces, where it has spaces."""
    earlier: Earlier | None = None
    """Tells what people said above a message that was replied to, where an update tells no more than that one."""
    elsewhere: Elsewhere | None = None
    """Tells who asked, in private, that the bot may not write where they asked."""
    watch: Callable[[], Coroutine[Any, Any, None]] | None = None
    """Goes on as long as the platform knows the bot. Raises SettingsError when it does not any more."""
    inline: Outbound | None = None
    """Shows what is asked and answered in one message of a chat that the bot has no part in."""
    enforcer: Enforcer | None = None
    """Acts on the people and places of its spaces, where it has spaces."""
    native: NativeRules | None = None
    """The platform's own filter, which stops messages before they are seen."""


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
    mover: Mover
    community: Community


def telegram(shared: Shared) -> Connection | None:
    settings = shared.settings.telegram
    if not settings.token.get_secret_value():
        return None
    from bots.telegram_bot.admins import Admins
    from bots.telegram_bot.api import Api
    from bots.telegram_bot.enforcing import TelegramEnforcer
    from bots.telegram_bot.inline_outbound import InlineOutbound
    from bots.telegram_bot.lifecycle import group
    from bots.telegram_bot.members import Members
    from bots.telegram_bot.outbound import TelegramOutbound
    from bots.telegram_bot.seen import Seen
    from bots.telegram_bot.standing import Standing

    api = Api(settings)
    number = settings.token.get_secret_value().partition(":")[0].strip()
    seen = Seen(Sightings(shared.store, f"telegram:{number}"))
    standing = Standing(api, Memory(shared.store), Once(shared.store), number)
    pacer, admins = _pacer(pacing.TELEGRAM, settings.token, shared), Admins(api, Owners(shared.settings))
    access = _access(shared, admins.may, admins.standing, admins.is_admin)
    storage = shared.settings.storage
    history = History(shared.store, keep_days=storage.keep_days, max_messages=storage.max_messages)

    def receiver() -> Receiver:
        from bots.space_menu import SpaceMenu
        from bots.telegram_bot.adapter import TelegramAdapter
        from bots.telegram_bot.inline import InlineMode
        from bots.telegram_bot.menu import BotMenu
        from bots.telegram_bot.pressing import Pressing

        memory = Memory(shared.store)
        menu = BotMenu(api, memory, working(shared.catalog), shared.settings.owners)
        on = shared.settings.chat.buttons
        space = SpaceMenu(shared.community, shared.catalog, access.may)
        pressing = Pressing(
            api,
            history,
            shared.catalog,
            shared.community,
            access.may_choose,
            pacer,
            buttons=on,
            space=space,
            may=access.may,
        )
        limit = shared.settings.chat.max_image_bytes
        inline = InlineMode(api, shared.catalog, InlineQuestions(shared.store), shared.settings.chat)
        adapter = TelegramAdapter(
            settings,
            api,
            seen,
            shared.leases,
            memory,
            pressing,
            menu,
            inline,
            standing,
            shared.community.seen,
            Hearing(shared.community.spaces, Platform.TELEGRAM, number),
            image_limit=limit,
        )
        return Receiver(adapter)

    async def bot() -> str:
        # A token begins with the bot's id.
        return number

    async def close() -> None:
        await seen.close()
        await api.close()

    async def moved(old: str, new: str) -> None:
        await shared.mover.begin(group(number, old), group(number, new))

    outbound = TelegramOutbound(api, seen, settings.rich, Memory(shared.store), moved)
    inline = InlineOutbound(outbound, api, history.asked)
    return Connection(
        outbound,
        pacer,
        close,
        bot,
        receiver,
        admins.is_admin,
        admins.may,
        admins.standing,
        Members(api, admins, pacer),
        elsewhere=standing.tell,
        inline=inline,
        enforcer=TelegramEnforcer(api, admins, pacer, Once(shared.store), moved, Watched(shared.store).by),
    )


def discord(shared: Shared) -> Connection | None:
    settings = shared.settings.discord
    token = settings.token.get_secret_value()
    if not token:
        return None
    from bots.discord_bot.above import Above
    from bots.discord_bot.enforcing import Enforcer
    from bots.discord_bot.identity import bot_id, until_disowned
    from bots.discord_bot.interactions import Deferrals
    from bots.discord_bot.members import Members
    from bots.discord_bot.native_rules import AutoMod
    from bots.discord_bot.outbound import DiscordOutbound
    from bots.discord_bot.refusals import SECONDS, Refusals
    from bots.discord_bot.rest import Rest
    from bots.discord_bot.rights import Rights
    from bots.discord_bot.standing import Standing
    from bots.discord_bot.telling import Telling

    refusals = Refusals(Tally(shared.store, f"discord:{_digest(settings.token)}:refused", SECONDS))
    rest = Rest(settings.api_base, token, refusals)
    deferrals = Deferrals(rest)

    storage = shared.settings.storage
    history = History(shared.store, keep_days=storage.keep_days, max_messages=storage.max_messages)

    def receiver() -> Receiver:
        from bots.discord_bot.adapter import DiscordAdapter
        from bots.discord_bot.interaction_intake import InteractionIntake
        from bots.discord_bot.pressing import Pressing, told_admin
        from bots.pressing import Presses
        from bots.space_menu import SpaceMenu

        access = _access(shared, rights.may, rights.standing, told_admin)
        space = SpaceMenu(shared.community, shared.catalog, access.may, forms=True)
        presses = Presses(
            history,
            shared.catalog,
            shared.community,
            buttons=shared.settings.chat.buttons,
            votes=True,
            space=space,
            may=access.may,
        )
        pressing = Pressing(rest, deferrals, presses, Owners(shared.settings), Forms(shared.store), access.may_choose)
        rows, forms = working(shared.catalog), Forms(shared.store)
        suggestions = Suggestions(shared.catalog, lambda: shared.settings.tool_names)
        interactions = InteractionIntake(rest, deferrals, pressing, rows, forms, suggestions)
        return Receiver(
            DiscordAdapter(
                settings,
                rest,
                rows=rows,
                store=shared.store,
                leases=shared.leases,
                memory=Memory(shared.store),
                recent=partial(shared.places.recent, Platform.DISCORD),
                interactions=interactions,
                spaces=shared.community.seen,
            )
        )

    pacer = _pacer(pacing.DISCORD, settings.token, shared, lambda: refusals.is_frugal)
    rights, telling = Rights(rest, Owners(shared.settings)), Telling(rest, pacer)
    bot = partial(bot_id, rest, token)
    standing = Standing(rights, telling, Once(shared.store), bot)
    outbound = DiscordOutbound(
        settings, rest, deferrals, no_threads=standing.no_threads, no_webhooks=standing.no_webhooks
    )

    async def close() -> None:
        await standing.close()
        await rest.close()

    return Connection(
        outbound,
        pacer,
        close,
        bot,
        receiver,
        rights.is_admin,
        rights.may,
        rights.standing,
        Members(rights, telling),
        earlier=Above(rest),
        elsewhere=standing.tell,
        watch=partial(until_disowned, rest),
        enforcer=Enforcer(rest, rights, telling, pacer),
        native=AutoMod(rest, rights, pacer),
    )


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
        from bots.pressing import Presses
        from bots.web_chat.adapter import WebAdapter

        storage = settings.storage
        history = History(shared.store, keep_days=storage.keep_days, max_messages=storage.max_messages)
        presses = Presses(history, shared.catalog, shared.community, buttons=settings.chat.buttons, votes=True)
        adapter = WebAdapter(settings.web, web_store, models, shared.community, shared.catalog, presses)
        return Receiver(adapter, adapter.entry_url)

    async def bot() -> str:
        return ids.BOT

    async def close() -> None:
        return None

    return Connection(WebOutbound(web_store), Pacer(pacing.WEB), close, bot, receiver)


def _access(shared: Shared, may: May, standing: StandingOf, is_admin: IsAdmin) -> Access:
    """Who may do what, for presses that are decided where they come in."""
    people, spaces, owners = shared.community.people, shared.community.spaces, Owners(shared.settings)
    return Access(people, spaces, owners, Once(shared.store), may=may, standing=standing, is_admin=is_admin)


def _pacer(
    limits: pacing.Limits, token: SecretStr, shared: Shared, is_frugal: Callable[[], bool] = lambda: False
) -> Pacer:
    """One budget for all processes of a bot."""
    return Pacer(limits, _digest(token), permits=SharedPermits(shared.store), is_frugal=is_frugal)


def _digest(token: SecretStr) -> str:
    """Tells bots apart and nothing of the token."""
    return hashlib.sha256(token.get_secret_value().encode()).hexdigest()[:16]


PLATFORMS: tuple[tuple[Platform, Callable[[Shared], Connection | None]], ...] = (
    (Platform.TELEGRAM, telegram),
    (Platform.DISCORD, discord),
    (Platform.WEB, web),
)
