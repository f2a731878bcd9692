"""What one bot can do in its guilds. Implements ``core.moderation.enforcer.Enforcer``.

Restricting somebody to plain words is not among it: on Discord a role can only add to what everyone may, so that it
would take an overwrite for that person in every channel there is, and in every one to come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bots.buttons import laid_out
from bots.discord_bot import permissions
from bots.discord_bot.asking import Asking
from bots.discord_bot.enforcing_messages import MessageActs
from bots.discord_bot.enforcing_people import LONGEST_TIMEOUT, PeopleActs
from bots.discord_bot.enforcing_places import PlaceActs
from bots.discord_bot.enforcing_requests import RequestActs
from bots.discord_bot.hands import Hands
from bots.discord_bot.intents import MEMBERS_FLAGS
from bots.discord_bot.ranks import fixed_rank, name_of, rank
from bots.discord_bot.rest import NO_TOKEN, CallFailed, Rest
from bots.discord_bot.rights import Raw, Rights
from bots.discord_bot.telling import Telling
from bots.pacing import Pacer
from core.errors import OutboundError, OutboundFault, RightsUnknownError
from core.moderation.acts import AUTOMOD, Act, ActKind, Answer, Outcome
from core.moderation.durations import Span
from core.moderation.enforcer import Asked, Known, Rows, Site
from core.moderation.members import Rank

OURS = Span(longest=None)
"""Discord knows no end of it."""
TIMED = Span(longest=LONGEST_TIMEOUT, for_good=False)
AT_ONCE = Span()
ABILITIES: Mapping[ActKind, Span] = {
    **dict.fromkeys((ActKind.WARN, ActKind.KICK, ActKind.UNMUTE, ActKind.UNBAN, ActKind.RELEASE), AT_ONCE),
    **dict.fromkeys((ActKind.DELETE, ActKind.PURGE, ActKind.REPOST, ActKind.PIN, ActKind.UNPIN), AT_ONCE),
    **dict.fromkeys((ActKind.UNSLOW, ActKind.UNLOCK, ActKind.APPROVE, ActKind.DECLINE), AT_ONCE),
    **dict.fromkeys((ActKind.MUTE, ActKind.QUARANTINE), TIMED),
    **dict.fromkeys((ActKind.BAN, ActKind.SLOW, ActKind.LOCK), OURS),
}
_MUTING = (permissions.MODERATE_MEMBERS,)
_BANNING = (permissions.BAN_MEMBERS,)
_ISOLATING = (permissions.MANAGE_ROLES, permissions.MODERATE_MEMBERS)
_DECIDING = (permissions.KICK_MEMBERS,)
IN_GUILD: Mapping[ActKind, tuple[int, ...]] = {
    **dict.fromkeys((ActKind.MUTE, ActKind.UNMUTE), _MUTING),
    **dict.fromkeys((ActKind.BAN, ActKind.UNBAN), _BANNING),
    **dict.fromkeys((ActKind.QUARANTINE, ActKind.RELEASE), _ISOLATING),
    **dict.fromkeys((ActKind.KICK, ActKind.APPROVE, ActKind.DECLINE), _DECIDING),
}
"""The permissions that an act needs in all of a guild."""
_DELETING = (permissions.READ_MESSAGE_HISTORY, permissions.MANAGE_MESSAGES)
IN_CHANNEL: Mapping[ActKind, tuple[int, ...]] = {
    **dict.fromkeys((ActKind.DELETE, ActKind.PURGE), _DELETING),
    ActKind.REPOST: (permissions.SEND_MESSAGES,),
    **dict.fromkeys((ActKind.SLOW, ActKind.UNSLOW), (permissions.MANAGE_CHANNELS,)),
    **dict.fromkeys((ActKind.LOCK, ActKind.UNLOCK), (permissions.MANAGE_ROLES,)),
    **dict.fromkeys((ActKind.PIN, ActKind.UNPIN), (permissions.READ_MESSAGE_HISTORY, permissions.PIN_MESSAGES)),
}
"""Those that it needs in the channel."""
IN_THREAD: Mapping[int, int] = {
    permissions.MANAGE_CHANNELS: permissions.MANAGE_THREADS,
    permissions.MANAGE_ROLES: permissions.MANAGE_THREADS,
    permissions.SEND_MESSAGES: permissions.SEND_MESSAGES_IN_THREADS,
}
"""What takes their place in threads."""
NAMES: Mapping[int, str] = {
    permissions.VIEW_CHANNEL: "permission.view_channel",
    permissions.SEND_MESSAGES: "permission.send_messages",
    permissions.SEND_MESSAGES_IN_THREADS: "permission.send_messages_in_threads",
    permissions.READ_MESSAGE_HISTORY: "permission.read_message_history",
    permissions.MANAGE_MESSAGES: "permission.manage_messages",
    permissions.MANAGE_CHANNELS: "permission.manage_channels",
    permissions.MANAGE_THREADS: "permission.manage_threads",
    permissions.MANAGE_ROLES: "permission.manage_roles",
    permissions.PIN_MESSAGES: "permission.pin_messages",
    permissions.MODERATE_MEMBERS: "permission.moderate_members",
    permissions.KICK_MEMBERS: "permission.kick_members",
    permissions.BAN_MEMBERS: "permission.ban_members",
}
"""As Discord's settings call them."""
BELOW = "bot_below"
BY_HEIGHT = (ActKind.MUTE, ActKind.UNMUTE, ActKind.KICK, ActKind.BAN, ActKind.QUARANTINE, ActKind.RELEASE)
"""Acts on members, whose roles have to be lower than the bot's."""


class Enforcer:
    """Of one bot."""

    abilities: Mapping[ActKind, Span] = ABILITIES

    def __init__(self, rest: Rest, rights: Rights, telling: Telling, pacer: Pacer) -> None:
        self._rights = rights
        self._telling = telling
        self._asking = Asking(rest, pacer)
        self._now = rest.now
        self._hands = hands = Hands(rest, pacer)
        self._people, self._places = PeopleActs(hands, rights), PlaceActs(hands, rights)
        self._messages, self._requests = MessageActs(hands, telling), RequestActs(hands)

    # ------------------------------------------------------------------ who stands where
    async def know(self, site: Site, account: str, actor: str) -> Known | None:
        if not account.isdecimal():
            return None
        is_fresh = actor != AUTOMOD
        guild = await self._rights.guild(site.space, fresh=is_fresh)
        if guild is None:
            return None
        target, language = await self._rights.member(site.space, account, fresh=True), _language(guild)
        if target is None:
            gone = await self._rights.user(account)
            stands = Rank.BOT if gone and gone.get("bot") else Rank.BELOW
            return Known(account, name_of(gone, {}), stands, is_here=False, language=language) if gone else None
        user: Raw = target["user"]
        against = site.conversation.bot if actor == AUTOMOD else actor
        stands = fixed_rank(guild, user, against)
        if stands is None:
            stands = rank(guild, target, await self._rights.member(site.space, against, fresh=is_fresh))
        held = permissions.in_guild(guild, target, account, self._now())
        came: str = target.get("joined_at") or ""
        return Known(
            account,
            name_of(user, target),
            stands,
            is_admin=bool(held & permissions.MODERATORS),
            joined_at=datetime.fromisoformat(came).timestamp() if came else 0.0,
            language=language,
        )

    # ------------------------------------------------------------------ what the bot may
    async def lacking(self, act: Act) -> str:
        """Rules act on many in a moment, and Discord tells few things in a second: what it said of the bot a moment ago
        is enough for them."""
        return await self._lacking(act, fresh=not act.actor.is_automod)

    async def _lacking(self, act: Act, *, fresh: bool) -> str:
        guild = await self._rights.guild(act.space, fresh=fresh)
        me = await self._rights.member(act.space, act.conversation.bot, fresh=fresh)
        if guild is None or me is None:
            return NAMES[permissions.VIEW_CHANNEL]
        held = permissions.in_guild(guild, me, act.conversation.bot, self._now())
        if missing := _missing(held, IN_GUILD.get(act.kind, ())):
            return missing
        if needed := IN_CHANNEL.get(act.kind):
            return await self._lacking_there(act, needed, fresh=fresh)
        if act.kind not in BY_HEIGHT:
            return ""
        target = await self._rights.member(act.space, act.account, fresh=True)
        if target is None:
            return ""
        is_owner = str(guild["owner_id"]) == act.account
        is_below = permissions.position(guild, target) < permissions.position(guild, me)
        return "" if is_below and not is_owner else BELOW

    async def lacking_all(self, site: Site) -> list[tuple[ActKind, str]]:
        """Which rights the bot lacks for what, before they are needed: by what holds in all of the guild. Raises
        RightsUnknownError."""
        guild = await self._rights.guild(site.space, fresh=True)
        me = await self._rights.member(site.space, site.conversation.bot, fresh=True)
        if guild is None or me is None:
            return [(kind, NAMES[permissions.VIEW_CHANNEL]) for kind in ABILITIES]
        held = permissions.in_guild(guild, me, site.conversation.bot, self._now())
        needed = ((kind, (*IN_GUILD.get(kind, ()), *IN_CHANNEL.get(kind, ()))) for kind in ABILITIES)
        return [(kind, missing) for kind, bits in needed if (missing := _missing(held, bits))]

    async def blind(self, site: Site) -> str:
        """Key of the sentence that says what rules do not see: who comes and goes is told only where that is switched
        on; empty where they see all. Raises RightsUnknownError."""
        try:
            flags = int((await self._hands.read("/applications/@me")).get("flags") or 0)
        except OutboundError as error:
            raise RightsUnknownError(str(error)) from error
        return "" if flags & MEMBERS_FLAGS else "rules_see_no_joins"

    async def invites(self, site: Site) -> list[str]:
        """The guild's own address, and with the right to manage it all invitations that there are."""
        guild = await self._rights.guild(site.space) or {}
        own = str(guild.get("vanity_url_code") or "")
        try:
            found: list[Raw] = await self._hands.read(f"/guilds/{site.space}/invites") or []
        except CallFailed:
            found = []
        return [code for code in (own, *(str(one["code"]) for one in found)) if code]

    async def _lacking_there(self, act: Act, needed: Sequence[int], *, fresh: bool) -> str:
        chat, bot = act.conversation.chat, act.conversation.bot
        channel = await self._rights.channel(chat, fresh=fresh)
        held = await self._rights.permissions(act.space, chat, bot)
        if channel is not None and channel.get("type") in permissions.THREADS:
            needed = [IN_THREAD.get(bit, bit) for bit in needed]
        return _missing(held, (permissions.VIEW_CHANNEL, *needed))

    # ------------------------------------------------------------------ doing it
    async def before(self, act: Act) -> Mapping[str, str]:
        try:
            doer = self._doer(act.kind)
            return await doer.before(act) if doer is not None else {}
        except CallFailed as error:
            if error.fault in (OutboundFault.FORBIDDEN, OutboundFault.GONE) and error.status != NO_TOKEN:
                return {}
            raise OutboundError(OutboundFault.TRANSIENT, error.detail) from error

    async def carry_out(self, act: Act, seconds: int | None) -> Answer:
        doer = self._doer(act.kind)
        if doer is None:
            # A warning is told, and that is all of it.
            return Answer(Outcome.DONE if act.kind in ABILITIES else Outcome.REFUSED)
        try:
            return await doer.do(act, seconds)
        except CallFailed as error:
            if error.fault is OutboundFault.TRANSIENT:
                raise
            if error.status == NO_TOKEN:
                # It waits for another token.
                raise OutboundError(OutboundFault.TRANSIENT, error.detail) from error
            return await self._refused(act, error)

    async def _refused(self, act: Act, error: CallFailed) -> Answer:
        if error.fault is OutboundFault.GONE:
            return Answer(Outcome.GONE, detail=error.detail)
        if error.fault is not OutboundFault.FORBIDDEN:
            return Answer(Outcome.REFUSED, detail=error.detail)
        try:
            key = await self._lacking(act, fresh=True)
        except (RightsUnknownError, OutboundError):
            key = ""
        return Answer(Outcome.FORBIDDEN, key, error.detail)

    def _doer(self, kind: ActKind) -> PeopleActs | PlaceActs | MessageActs | RequestActs | None:
        match kind:
            case ActKind.APPROVE | ActKind.DECLINE:
                return self._requests
            case _ if kind in IN_GUILD:
                return self._people
            case ActKind.DELETE | ActKind.PURGE | ActKind.REPOST:
                return self._messages
            case _:
                return self._places if kind in IN_CHANNEL else None

    # ------------------------------------------------------------------ messages
    async def recent(self, site: Site, account: str, count: int, seconds: int) -> Sequence[str] | None:
        try:
            return await self._messages.recent(site.conversation.chat, account, count, seconds)
        except CallFailed as error:
            if error.fault in (OutboundFault.FORBIDDEN, OutboundFault.GONE):
                return []
            raise OutboundError(OutboundFault.TRANSIENT, error.detail) from error

    async def link(self, site: Site, message_id: str) -> str:
        return f"https://discord.com/channels/{site.space}/{site.conversation.chat}/{message_id}"

    async def tell(self, site: Site, account: str, markdown: str, key: str) -> bool:
        return await self._telling.person(account, markdown, key)

    async def post(self, site: Site, channel: str, markdown: str, key: str, buttons: Rows = ()) -> bool:
        try:
            found = await self._rights.channel(channel) if channel.isdecimal() else None
        except RightsUnknownError:
            return False
        if found is None or str(found.get("guild_id")) != site.space:
            return False
        return await self._telling.channel(channel, markdown, key, laid_out(buttons))

    async def ask(self, site: Site, asked: Asked) -> str:
        return await self._asking.ask(site, asked)

    async def unask(self, site: Site, where: str) -> None:
        await self._asking.unask(where)


def _missing(held: int, needed: Sequence[int]) -> str:
    """Name of the first permission that is not held; empty when none is missing."""
    return next((NAMES[bit] for bit in needed if not held & bit), "")


def _language(guild: Raw) -> str:
    return str(guild.get("preferred_locale") or "")
