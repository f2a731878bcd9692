"""The people of a guild, as moderators' commands see them. Implements ``core.moderation.members.Members``."""

from __future__ import annotations

from bots.discord_bot import permissions
from bots.discord_bot.ranks import fixed_rank, name_of, rank
from bots.discord_bot.rights import Raw, Rights
from bots.discord_bot.telling import Telling
from core.errors import RightsUnknownError
from core.message import CommandCall
from core.moderation.members import Member, Rank, Words
from core.people.naming import in_latin, looks


class Members:
    """Those of one bot's guilds."""

    def __init__(self, rights: Rights, telling: Telling) -> None:
        self._rights = rights
        self._telling = telling

    async def serves(self, call: CommandCall) -> bool:
        return await self._rights.guild(call.space) is not None

    async def space_name(self, call: CommandCall) -> str:
        guild = await self._known_guild(call)
        return str(guild["name"]) if guild else call.place

    async def find(self, call: CommandCall, account: str) -> Member | None:
        """Also who has left the guild, as long as Discord knows the account. Asked anew each time."""
        if not account.isdecimal():
            return None
        guild = await self._rights.guild(call.space, fresh=True)
        target = await self._rights.member(call.space, account, fresh=True)
        if guild is None:
            return None
        if target is None:
            gone = await self._rights.user(account)
            stands = Rank.BOT if gone and gone.get("bot") else Rank.BELOW
            return Member(name_of(gone, {}), stands, is_here=False) if gone else None
        user: Raw = target["user"]
        return Member(name_of(user, target), await self._rank(call, guild, target, user))

    async def are_called(self, call: CommandCall, name: str) -> bool:
        wanted = looks(name)
        for query in dict.fromkeys((name, in_latin(name))):
            for member in await self._rights.called(call.space, query):
                user: Raw = member["user"]
                names = (member.get("nick"), user.get("global_name"), user["username"])
                if any(looks(str(one)) == wanted for one in names if one):
                    return True
        return False

    async def channel(self, call: CommandCall, wanted: str) -> str | None:
        """A mention of a channel is understood, too. One of another guild is none."""
        id = wanted.strip().removeprefix("<#").removesuffix(">")
        if not id.isdecimal():
            return None
        found = await self._rights.channel(id, fresh=True)
        if found is None or str(found.get("guild_id")) != call.space:
            return None
        held = await self._rights.permissions(call.space, id, call.conversation.bot, fresh=True)
        is_thread = found.get("type") in permissions.THREADS
        return id if permissions.is_writable(held, thread=is_thread) else None

    def link(self, call: CommandCall, message_id: str) -> str:
        return f"https://discord.com/channels/{call.space}/{call.conversation.chat}/{message_id}"

    async def tell(self, call: CommandCall, account: str, words: Words, key: str) -> bool:
        return await self._telling.person(account, words(await self._language(call)), key)

    async def tell_moderators(self, call: CommandCall, channel: str, about: str, words: Words, key: str) -> bool:
        """In their channel, as long as it is still one of this guild; else the owner in private."""
        text = words(await self._language(call))
        try:
            if channel and await self._takes(call, channel, about) and await self._telling.channel(channel, text, key):
                return True
            guild = await self._rights.guild(call.space)
        except RightsUnknownError:
            return False
        owner = str(guild["owner_id"]) if guild else about
        return owner != about and await self._telling.person(owner, text, key)

    async def _takes(self, call: CommandCall, channel: str, about: str) -> bool:
        """Whether a channel can be told of somebody, who must not read there who reported them."""
        if not await self.channel(call, channel):
            return False
        held = await self._rights.permissions(call.space, channel, about, fresh=True)
        return not held & permissions.VIEW_CHANNEL

    async def _rank(self, call: CommandCall, guild: Raw, target: Raw, user: Raw) -> Rank:
        caller = call.author.id
        if (fixed := fixed_rank(guild, user, caller)) is not None:
            return fixed
        held = await self._rights.member(call.space, caller, fresh=True)
        return rank(guild, target, held)

    async def _language(self, call: CommandCall) -> str:
        """The guild's own; what one person has set is told of their interactions only."""
        guild = await self._known_guild(call)
        return str(guild.get("preferred_locale") or "") if guild else ""

    async def _known_guild(self, call: CommandCall) -> Raw | None:
        if not call.space:
            return None
        try:
            return await self._rights.guild(call.space)
        except RightsUnknownError:
            return None
