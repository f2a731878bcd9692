"""Acts on members of a guild: time-outs, kicks, bans, quarantine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bots.discord_bot.hands import Hands
from bots.discord_bot.ranks import is_administrator
from bots.discord_bot.rest import CallFailed
from bots.discord_bot.rights import Raw, Rights
from core.errors import OutboundFault
from core.moderation.acts import Act, ActKind, Answer, Outcome
from core.moderation.durations import DAY

LONGEST_TIMEOUT = 28 * DAY
"""Discord's documented limit."""
MOST_DELETED_SECONDS = 7 * DAY
"""What somebody wrote can be deleted with a ban for so long back."""
QUARANTINE = "quarantine"
"""What the role is called that people in quarantine have alone, where a guild has one."""
UNKNOWN_BAN, MOST_BANS = 10026, 30035
"""Discord's codes. It takes so many bans of people who are no members, and no more."""
SAME_SECONDS = 2
"""By which the end of an act differs when it is counted again."""
UNTIL, ROLES, BANNED, APART = "until", "roles", "banned", "apart"
YES = "yes"


class PeopleActs:
    """Those of one bot."""

    def __init__(self, hands: Hands, rights: Rights) -> None:
        self._hands = hands
        self._rights = rights

    async def before(self, act: Act) -> Mapping[str, str]:
        member = await self._rights.member(act.space, act.account, fresh=True)
        found: dict[str, str] = {}
        if member is not None:
            found = {UNTIL: str(member.get("communication_disabled_until") or ""), ROLES: ",".join(member["roles"])}
        if act.kind is ActKind.QUARANTINE and (guild := await self._rights.guild(act.space)):
            found[APART] = self._role_apart(guild)
        if act.kind in (ActKind.BAN, ActKind.UNBAN):
            found[BANNED] = YES if await self._is_banned(act) else ""
        return found

    async def do(self, act: Act, seconds: int | None) -> Answer:
        """Raises as :class:`Hands` does."""
        match act.kind:
            case ActKind.MUTE | ActKind.UNMUTE:
                return await self._silence(act, seconds)
            case ActKind.QUARANTINE | ActKind.RELEASE:
                return await self._isolate(act, seconds)
            case ActKind.KICK:
                return await self._kick(act)
            case _:
                return await self._ban(act)

    async def _silence(self, act: Act, seconds: int | None) -> Answer:
        member = await self._rights.member(act.space, act.account, fresh=True)
        if member is None:
            return Answer(Outcome.GONE)
        until = self._until(act, seconds if act.kind is ActKind.MUTE else 0)
        guild = await self._rights.guild(act.space)
        if until is not None and guild is not None and is_administrator(guild, member):
            return Answer(Outcome.REFUSED, "no_timeout_of_administrators")
        if until is None and not member.get("communication_disabled_until"):
            return Answer(Outcome.NOTHING)
        await self._hands.do(act, "PATCH", _member(act), {"communication_disabled_until": until})
        return Answer(Outcome.DONE, needs_end=act.kind is ActKind.MUTE and not act.before and _is_longer(member, until))

    async def _isolate(self, act: Act, seconds: int | None) -> Answer:
        """Roles are taken and given in one call. Those that integrations manage can be neither."""
        guild = await self._rights.guild(act.space, fresh=True)
        member = await self._rights.member(act.space, act.account, fresh=True)
        if guild is None or member is None:
            return Answer(Outcome.GONE)
        known: Mapping[str, Raw] = {str(role["id"]): role for role in guild["roles"]}
        managed = [role for role in member["roles"] if known.get(role, {}).get("managed")]
        apart = self._role_apart(guild)
        until: str | None = None
        is_begun = act.kind is ActKind.QUARANTINE and not act.before
        if is_begun:
            kept, until = [apart] if apart else [], self._until(act, seconds)
        elif ROLES in act.before:
            wanted = [role for role in act.before[ROLES].split(",") if role in known and not known[role].get("managed")]
            kept, until = wanted, self._until(act, 0)
        else:
            kept = [role for role in member["roles"] if role != apart and role not in managed]
        roles = [*kept, *managed]
        body: dict[str, object] = {"roles": roles}
        # Where there is such a role, it decides, and a time-out that somebody has besides stays. Whom an integration
        # made an administrator nobody can time out.
        is_by_role = apart if not act.before else act.before.get(APART)
        if not is_by_role and not (until and is_administrator(guild, body)):
            body["communication_disabled_until"] = until
        await self._hands.do(act, "PATCH", _member(act), body)
        # A time-out ends by itself, and brings no roles back.
        return Answer(Outcome.DONE, needs_end=is_begun and act.seconds is not None)

    @staticmethod
    def _role_apart(guild: Raw) -> str:
        """The guild's role for people in quarantine; empty where it has none."""
        for role in guild["roles"]:
            if str(role["name"]).strip().casefold() == QUARANTINE and not role.get("managed"):
                return str(role["id"])
        return ""

    async def _kick(self, act: Act) -> Answer:
        member = await self._rights.member(act.space, act.account, fresh=True)
        if member is None:
            return Answer(Outcome.NOTHING)
        came: str = member.get("joined_at") or ""
        ahead = self._hands.now() - time.time()
        if came and act.at and datetime.fromisoformat(came).timestamp() > act.at + ahead:
            # It was done before, or they went by themselves: whoever came back since is not thrown out again.
            return Answer(Outcome.NOTHING)
        try:
            await self._hands.do(act, "DELETE", _member(act))
        except CallFailed as error:
            if error.fault is OutboundFault.GONE:
                return Answer(Outcome.NOTHING)
            raise
        return Answer(Outcome.DONE)

    async def _ban(self, act: Act) -> Answer:
        path = f"/guilds/{act.space}/bans/{act.account}"
        is_wanted = act.before[BANNED] == YES if BANNED in act.before else act.kind is ActKind.BAN
        if not is_wanted:
            try:
                await self._hands.do(act, "DELETE", path)
            except CallFailed as error:
                if error.code == UNKNOWN_BAN:
                    return Answer(Outcome.NOTHING)
                raise
            return Answer(Outcome.DONE)
        if act.before and await self._is_banned(act):
            return Answer(Outcome.NOTHING)
        past = max(0, min(act.delete_seconds, MOST_DELETED_SECONDS))
        try:
            await self._hands.do(act, "PUT", path, {"delete_message_seconds": past})
        except CallFailed as error:
            if error.code == MOST_BANS:
                return Answer(Outcome.REFUSED, "most_bans", error.detail)
            raise
        return Answer(Outcome.DONE)

    async def _is_banned(self, act: Act) -> bool:
        try:
            await self._hands.read(f"/guilds/{act.space}/bans/{act.account}")
        except CallFailed as error:
            if error.fault in (OutboundFault.GONE, OutboundFault.FORBIDDEN):
                return False
            raise
        return True

    def _until(self, act: Act, seconds: int | None) -> str | None:
        """The end of a time-out; None for none. What is restored keeps the end that it had."""
        if UNTIL in act.before:
            until = act.before[UNTIL]
            return until if until and datetime.fromisoformat(until).timestamp() > self._hands.now() else None
        length = LONGEST_TIMEOUT if seconds is None else min(seconds, LONGEST_TIMEOUT)
        return datetime.fromtimestamp(self._hands.now() + length, UTC).isoformat() if length else None


def _is_longer(member: Raw, until: str | None) -> bool:
    """Whether a time-out that they had goes on after another, in whose place it then comes back. Nearly the same end is
    that other one's own: a process died before it could note that it was done."""
    was: str = member.get("communication_disabled_until") or ""
    if not was or until is None:
        return False
    return datetime.fromisoformat(was) > datetime.fromisoformat(until) + timedelta(seconds=SAME_SECONDS)


def _member(act: Act) -> str:
    return f"/guilds/{act.space}/members/{act.account}"
