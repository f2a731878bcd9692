"""Where the bot may not write: whoever can change that is told what is missing and how to grant it, once a day.

Not the asker each time: they see nothing, or the answer to a command, which needs no right in the channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bots.discord_bot import permissions
from bots.discord_bot.rights import Raw, Rights
from bots.discord_bot.telling import Telling
from core.conversation.turn import Turn
from core.errors import RightsUnknownError, StorageError
from core.message import Message
from core.storage.shared import Once
from core.tasks import end
from core.texts import one_line, say

log = structlog.get_logger()

DAY = 24 * 3600
MAX_TRIED = 3
"""Channels in which a word to everybody is tried, where the owner takes no direct messages."""
MAX_NAME = 100
MISSING = {
    permissions.VIEW_CHANNEL: "permission.view_channel",
    permissions.SEND_MESSAGES: "permission.send_messages",
    permissions.SEND_MESSAGES_IN_THREADS: "permission.send_messages_in_threads",
}
"""Discord's settings call them so."""


class Standing:
    """How one bot stands in its guilds, as far as people are to know. ``bot`` gives its account id."""

    def __init__(self, rights: Rights, telling: Telling, once: Once, bot: Callable[[], Awaitable[str]]) -> None:
        self._rights = rights
        self._telling = telling
        self._once = once
        self._bot = bot
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        await end(self._tasks)

    def no_threads(self, channel: str) -> None:
        """No thread could be opened there. That costs no answer, so it is told beside it."""
        self._begin("no_threads", channel, "permission.create_public_threads")

    def no_webhooks(self, channel: str) -> None:
        """No persona can speak there under its own name: the bot may manage no webhooks. Told beside it, too."""
        self._begin("no_webhooks", channel, "permission.manage_webhooks")

    def _begin(self, what: str, channel: str, permission: str) -> None:
        task = asyncio.create_task(self._tell_of(what, channel, permission))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def tell(self, turn: Turn) -> None:
        """The bot may not write where it was asked. Never fails, and nothing is tried again."""
        if turn.incoming.private or not turn.incoming.space:
            return
        try:
            await self._tell(turn)
        except (RightsUnknownError, StorageError) as error:
            log.warning("discord: nobody is told that the bot may not write", turn=turn.id, cause=str(error))

    async def _tell(self, turn: Turn) -> None:
        bot, chat, space = turn.conversation.bot, turn.conversation.chat, turn.incoming.space
        opens = turn.incoming.opens if isinstance(turn.incoming, Message) else ""
        # The thread may not even be there: it is about the channel above.
        chat = opens or chat
        if not await self._once.may(f"discord:{bot}:no_right:{chat}", DAY):
            return
        guild = await self._rights.guild(space)
        if guild is None:
            return
        place = await self._rights.channel(chat, fresh=True)
        if place and place.get("type") in permissions.THREADS:
            # The permissions of threads are those of their channel, of which it is told once for all of them.
            above = str(place["parent_id"])
            if not await self._once.may(f"discord:{bot}:no_right:{above}:threads", DAY):
                return
        missing = await self._missing(space, chat, bot, place, opens=bool(opens))
        if not missing:
            # It was granted meanwhile, or the channel is gone: there is nothing to do for anybody.
            return
        log.info("discord: may not write", guild=space, channel=chat, missing=say(MISSING[missing]))
        language = str(guild.get("preferred_locale") or "")
        right = say(MISSING[missing], language)
        words = say(
            "no_right_here",
            language,
            place=one_line(str(guild["name"]), MAX_NAME),
            channel=f"<#{chat}>",
            permission=right,
        )
        await self._spread(guild, bot, words, f"no_right:{chat}:{turn.id}")

    async def _tell_of(self, what: str, channel: str, permission: str) -> None:
        """``what`` names the sentence: ``WHAT_here``."""
        try:
            bot = await self._bot()
            if not await self._once.may(f"discord:{bot}:{what}:{channel}", DAY):
                return
            place = await self._rights.channel(channel)
            guild = await self._rights.guild(str(place["guild_id"])) if place else None
            if guild is None:
                return
            language = str(guild.get("preferred_locale") or "")
            words = say(f"{what}_here", language, channel=f"<#{channel}>", permission=say(permission, language))
            await self._spread(guild, bot, words, f"{what}:{channel}")
        except (RightsUnknownError, StorageError) as error:
            log.warning("discord: nobody is told of a missing right", what=what, channel=channel, cause=str(error))

    async def _spread(self, guild: Raw, bot: str, words: str, key: str) -> None:
        """To the owner; where they take no direct messages, in the first channel that takes it."""
        if await self._telling.person(str(guild["owner_id"]), words, key):
            return
        for channel in (await self._rights.writable(str(guild["id"]), bot))[:MAX_TRIED]:
            if await self._telling.channel(channel, words, key):
                return

    async def _missing(self, guild: str, channel: str, bot: str, place: Raw | None, *, opens: bool) -> int:
        """The permission that the bot lacks there; 0 when none of those that an answer needs. ``opens``: it answers in
        threads that it opens there."""
        if place is None:
            return permissions.VIEW_CHANNEL
        held = await self._rights.permissions(guild, channel, bot, fresh=True)
        missing = permissions.missing(held, thread=place.get("type") in permissions.THREADS)
        return missing or (permissions.missing(held, thread=True) if opens else 0)
