"""Who may do what on Discord: asked of Discord itself, at the moment of the act or shortly before it.

Discord shows a command only to those whom a server's settings allow it (``default_member_permissions``). That is for
the eye: an administrator can change it, buttons and typed words do not know it, so what counts is asked here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any

from bots.discord_bot import permissions
from bots.discord_bot.rest import NO_TOKEN, CallFailed, Rest
from core import clock
from core.access import ACTS, OF_ALL, Right, is_owner
from core.errors import OutboundError, OutboundFault, RightsUnknownError
from core.message import Platform
from core.people.access import Asker, Standing

Raw = Mapping[str, Any]

FRESH_SECONDS = 30.0
"""What Discord said is believed for so long, unless it is about an act."""
TRIES, LONGEST_WAIT = 3, 2.0
"""How often Discord is asked where a limit of its is in the way, and the seconds that one is waited for."""
MOST_CALLED = 100
"""Members that one search tells."""
MOST_KNOWN = 2000
"""Guilds, channels and members remembered."""
EVERYWHERE = {
    Right.CONFIGURE: permissions.MANAGE_GUILD,
    Right.WARN: permissions.MODERATE_MEMBERS,
    Right.MUTE: permissions.MODERATE_MEMBERS,
    Right.BAN: permissions.BAN_MEMBERS,
    Right.SEE_USAGE: permissions.MANAGE_GUILD,
    Right.TEACH: permissions.MANAGE_MESSAGES,
}
"""Discord's permission for each right that is one in all of a guild."""
IN_CHANNEL = {
    Right.TALK: permissions.SEND_MESSAGES | permissions.SEND_MESSAGES_IN_THREADS,
    Right.PURGE: permissions.MANAGE_MESSAGES,
}
"""For those that differ from channel to channel: one of these permissions."""


class Rights:
    """The permissions of members, as one process knows them. ``owners`` of the settings may act everywhere."""

    def __init__(self, rest: Rest, owners: Collection[str] = ()) -> None:
        self._rest = rest
        self._owners = owners
        self._known: OrderedDict[str, tuple[float, Raw]] = OrderedDict()
        """By path: when it was asked, and what it is."""

    async def is_admin(self, call: Asker) -> bool:
        """Whether the caller may choose for all there: everybody may in a direct message.

        Raises RightsUnknownError when Discord does not tell.
        """
        return await self.may(call, Right.CONFIGURE)

    async def may(self, call: Asker, right: Right) -> bool:
        """Whether the caller has a right there. What is done to others is asked anew, not remembered.

        Raises RightsUnknownError when Discord does not tell.
        """
        if is_owner(call.author, Platform.DISCORD, self._owners):
            return True
        if call.private or not call.space:
            # In a chat of several people without a guild nobody is above the others.
            return right in OF_ALL or (call.private and right is Right.CONFIGURE)
        if right in OF_ALL and right is not Right.TALK:
            return True
        fresh = right in ACTS
        if right in EVERYWHERE:
            return bool(await self._in_guild(call.space, call.author.id, fresh=fresh) & EVERYWHERE[right])
        held = await self.permissions(call.space, call.conversation.chat, call.author.id, fresh=fresh)
        return bool(held & IN_CHANNEL[right])

    async def standing(self, asker: Asker, fresh: bool = False) -> Standing:
        """What somebody is in the guild. Raises RightsUnknownError when Discord does not tell."""
        guild, user = asker.space, asker.author.id
        found, member = await self.guild(guild, fresh=fresh), await self.member(guild, user, fresh=fresh)
        if found is None or member is None:
            return Standing()
        held = permissions.in_guild(found, member, user, self._rest.now())
        rights = frozenset(right for right, needed in EVERYWHERE.items() if held & needed)
        return Standing(str(found.get("owner_id")) == user, rights, frozenset(map(str, member["roles"])))

    async def permissions(self, guild: str, channel: str, user: str, *, fresh: bool = False) -> int:
        """A member's permissions in a channel, all of them for the owner and for administrators, none for who is not
        there or cannot see it. ``fresh``: whatever was asked before. Raises RightsUnknownError."""
        found, member = await self.guild(guild, fresh=fresh), await self.member(guild, user, fresh=fresh)
        if found is None or member is None:
            return 0
        held = permissions.in_guild(found, member, user, self._rest.now())
        if held == permissions.EVERYTHING:
            return held
        place = await self.channel(channel, fresh=fresh)
        if place is not None and place.get("type") in permissions.THREADS:
            place = await self.channel(str(place["parent_id"]), fresh=fresh)
        # Of a channel that the bot does not see the overwrites are not known.
        return permissions.in_channel(found, place, member, user, self._rest.now()) if place is not None else 0

    async def _in_guild(self, guild: str, user: str, *, fresh: bool) -> int:
        found, member = await self.guild(guild, fresh=fresh), await self.member(guild, user, fresh=fresh)
        if found is None or member is None:
            return 0
        return permissions.in_guild(found, member, user, self._rest.now())

    async def guild(self, guild: str, *, fresh: bool = False) -> Raw | None:
        """Its owner and its roles; None where the bot is no member. Raises RightsUnknownError."""
        return await self._ask(f"/guilds/{guild}", fresh)

    async def channel(self, channel: str, *, fresh: bool = False) -> Raw | None:
        """A channel with its overwrites; None where the bot does not see it. Raises RightsUnknownError."""
        return await self._ask(f"/channels/{channel}", fresh)

    async def member(self, guild: str, user: str, *, fresh: bool = False) -> Raw | None:
        """None for who is no member. Raises RightsUnknownError."""
        return await self._ask(f"/guilds/{guild}/members/{user}", fresh)

    async def called(self, guild: str, name: str) -> list[Raw]:
        """Members whose names begin so; none where Discord does not tell."""
        query = {"query": name, "limit": str(MOST_CALLED)}
        try:
            return await self._rest.call("GET", f"/guilds/{guild}/members/search", query=query)
        except OutboundError:
            return []

    async def writable(self, guild: str, user: str) -> list[str]:
        """Channels that a member may write in, the one for the system's messages first. Raises RightsUnknownError."""
        found, member = await self.guild(guild), await self.member(guild, user)
        if found is None or member is None:
            return []
        try:
            channels = await self._rest.call("GET", f"/guilds/{guild}/channels")
        except OutboundError as error:
            raise RightsUnknownError(str(error)) from error
        return permissions.writable(found, channels, member, user, self._rest.now())

    async def user(self, user: str) -> Raw | None:
        """An account, wherever it is; None for one that Discord does not know. Raises RightsUnknownError."""
        return await self._ask(f"/users/{user}", fresh=False)

    async def _ask(self, path: str, fresh: bool) -> Raw | None:
        asked_at, known = self._known.get(path, (0.0, {}))
        now = clock.seconds()
        if asked_at and now < asked_at + FRESH_SECONDS and not fresh:
            return known
        try:
            known = await self._patiently(path)
        except OutboundError as error:
            if _is_no(error):
                self._known.pop(path, None)
                return None
            raise RightsUnknownError(str(error)) from error
        self._known[path] = now, known
        self._known.move_to_end(path)
        # A guild's answer may have some 100 kB: none is kept longer than it is believed.
        while len(self._known) > MOST_KNOWN or next(iter(self._known.values()))[0] + FRESH_SECONDS < now:
            self._known.popitem(last=False)
        return known

    async def _patiently(self, path: str) -> Raw:
        """Many acts at once meet Discord's limits, which are over in a moment."""
        tries = 1
        while True:
            try:
                return await self._rest.call("GET", path)
            except OutboundError as error:
                is_over_soon = error.fault is OutboundFault.RATE_LIMITED and error.retry_after <= LONGEST_WAIT
                if tries == TRIES or not is_over_soon:
                    raise
                tries += 1
                await asyncio.sleep(error.retry_after or 0.1)


def _is_no(error: OutboundError) -> bool:
    """Whether Discord itself says that there is nothing to be seen, and not only that it cannot tell now."""
    if not isinstance(error, CallFailed) or error.status == NO_TOKEN:
        # A token that it does not take says nothing about anybody.
        return False
    return error.fault in (OutboundFault.GONE, OutboundFault.FORBIDDEN)
