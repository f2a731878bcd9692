"""A guild with a bot that moderates it, for the tests of what that does."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from bots.discord_bot.enforcing import Enforcer
from bots.discord_bot.rest import Rest
from bots.discord_bot.rights import Rights
from bots.discord_bot.telling import Telling
from bots.pacing import Limits, Pacer
from core.message import ConversationKey, Platform
from core.moderation.acts import Act, ActKind, Actor
from core.moderation.enforcer import Site
from tests.platforms.discord_permissions import May
from tests.platforms.discord_refusals import Json
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_world import EPOCH, Posted

STAFF = (
    *(May.KICK_MEMBERS, May.BAN_MEMBERS, May.MODERATE_MEMBERS, May.MANAGE_ROLES, May.MANAGE_CHANNELS),
    *(May.MANAGE_MESSAGES, May.MANAGE_THREADS, May.PIN_MESSAGES, May.MANAGE_GUILD),
)


class Court:
    """Alice's guild; Bob and Carol are members, the bot stands above them."""

    def __init__(self, discord: FakeDiscord) -> None:
        self.discord = discord
        self.world = discord.world
        self.guild: str = self.world.guild["id"]
        self.alice, self.bob, self.carol = self.world.alice, self.world.add_user("bob"), self.world.add_user("carol")
        self.held = self.world.permissions
        self.role = self.held.give(self.guild, self.world.bot, *STAFF, position=10)
        self.rest = Rest(discord.api_base, TOKEN)
        self.rights = Rights(self.rest)
        self.enforcer = Enforcer(self.rest, self.rights, Telling(self.rest, Pacer(Limits())), Pacer(Limits()))

    def key(self, channel: str = "") -> ConversationKey:
        return ConversationKey(Platform.DISCORD, self.world.bot, channel or self.world.general)

    def site(self, channel: str = "") -> Site:
        return Site(self.key(channel), self.guild)

    def act(self, kind: ActKind, channel: str = "", **values: Any) -> Act:
        given: dict[str, Any] = {"account": self.bob, "reason": "spam 广告", "at": time.time(), **values}
        given.setdefault("id", f"act-{kind}")
        return Act(
            kind=kind, conversation=self.key(channel), space=self.guild, actor=Actor(self.carol, "Carol"), **given
        )

    def member(self, user: str = "") -> Json:
        return self.held.member_fields(self.guild, user or self.bob)

    def say(self, text: str, *, user: str = "", days: float = 0.0) -> Posted:
        """A message in the general channel, written so many days ago."""
        posted = self.world.post(self.world.general, user or self.bob, text)
        if days:
            room = self.world.messages[self.world.general]
            del room[posted.id]
            at = int((time.time() - days * 86400) * 1000) - EPOCH
            posted.data["id"] = str((at << 22) | len(room))
            room[posted.id] = posted
            self.world.messages[self.world.general] = dict(sorted(room.items(), key=lambda one: int(one[0])))
        return posted

    def overwrites(self, channel: str = "") -> list[Json]:
        return self.world.channels[channel or self.world.general]["permission_overwrites"]


@asynccontextmanager
async def court_of(discord: FakeDiscord) -> AsyncGenerator[Court]:
    court = Court(discord)
    try:
        yield court
    finally:
        await court.rest.close()
