"""Acts on channels and threads: slow mode, locks, pins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bots.discord_bot import permissions
from bots.discord_bot.hands import Hands
from bots.discord_bot.rest import CallFailed
from bots.discord_bot.rights import Raw, Rights
from core.errors import OutboundError, OutboundFault
from core.moderation.acts import Act, ActKind, Answer, Outcome

LONGEST_PAUSE = 21_600
"""Seconds of slow mode; Discord's documented limit."""
MOST_PINS = 30003
"""Discord's code where a channel has as many pins as it can have."""
WRITING = (
    permissions.SEND_MESSAGES,
    permissions.SEND_MESSAGES_IN_THREADS,
    permissions.CREATE_PUBLIC_THREADS,
    permissions.CREATE_PRIVATE_THREADS,
)
"""What a lock takes from everyone. Staff keep it by roles of their own that a channel's overwrites allow it."""
ALL = sum(WRITING)
PAUSE, OVERWRITE, LOCKED, PINNED = "pause", "overwrite", "locked", "pinned"
YES = "yes"


class PlaceActs:
    """Those of one bot."""

    def __init__(self, hands: Hands, rights: Rights) -> None:
        self._hands = hands
        self._rights = rights

    async def before(self, act: Act) -> Mapping[str, str]:
        if act.kind in (ActKind.PIN, ActKind.UNPIN):
            return {id: YES if await self._is_pinned(act, id) else "" for id in act.messages}
        channel = await self._channel(act)
        if channel is None:
            return {}
        if act.kind in (ActKind.SLOW, ActKind.UNSLOW):
            return {PAUSE: str(channel.get("rate_limit_per_user") or 0)}
        if _is_thread(channel):
            return {LOCKED: YES if channel["thread_metadata"].get("locked") else ""}
        found = _everyones(channel, act.space)
        return {OVERWRITE: f"{found['allow']}:{found['deny']}" if found else ""}

    async def do(self, act: Act, seconds: int | None) -> Answer:
        """Raises as :class:`Hands` does. How long it lasts is ours to keep."""
        if act.kind in (ActKind.PIN, ActKind.UNPIN):
            return await self._pin(act)
        channel = await self._channel(act)
        if channel is None:
            return Answer(Outcome.GONE)
        if act.kind in (ActKind.SLOW, ActKind.UNSLOW):
            pause = act.pause if act.kind is ActKind.SLOW else 0
            wanted = max(0, min(int(act.before.get(PAUSE, pause)), LONGEST_PAUSE))
            if int(channel.get("rate_limit_per_user") or 0) == wanted:
                return Answer(Outcome.NOTHING)
            return await self._set(act, channel, {"rate_limit_per_user": wanted})
        if _is_thread(channel):
            is_locked = act.before[LOCKED] == YES if LOCKED in act.before else act.kind is ActKind.LOCK
            if bool(channel["thread_metadata"].get("locked")) == is_locked:
                return Answer(Outcome.NOTHING)
            return await self._set(act, channel, {"locked": is_locked})
        return await self._lock(act, channel)

    async def _set(self, act: Act, channel: Raw, wanted: Mapping[str, Any]) -> Answer:
        await self._hands.do(act, "PATCH", f"/channels/{channel['id']}", wanted)
        return Answer(Outcome.DONE)

    async def _lock(self, act: Act, channel: Raw) -> Answer:
        """Of everyone's overwrite only the rights to write are touched: what else was changed there meanwhile stays."""
        found = _everyones(channel, act.space)
        now = (int(found["allow"]), int(found["deny"])) if found else (0, 0)
        if OVERWRITE in act.before:
            earlier = act.before[OVERWRITE]
            allow, deny = map(int, (earlier or "0:0").split(":"))
            wanted, stays = (now[0] & ~ALL | allow & ALL, now[1] & ~ALL | deny & ALL), bool(earlier)
        elif act.kind is ActKind.LOCK:
            bits = await self._lockable(act)
            if not bits & permissions.SEND_MESSAGES:
                return Answer(Outcome.FORBIDDEN, "permission.send_messages")
            wanted, stays = (now[0] & ~bits, now[1] | bits), True
        else:
            wanted, stays = (now[0], now[1] & ~ALL), False
        stays = stays or wanted != (0, 0)
        note = await self._still_written(channel, act)
        if wanted == now and stays == (found is not None):
            return Answer(Outcome.NOTHING, note)
        path = f"/channels/{channel['id']}/permissions/{act.space}"
        if stays:
            body = {"type": permissions.ROLE, "allow": wanted[0], "deny": wanted[1]}
            await self._hands.do(act, "PUT", path, body)
        else:
            await self._hands.do(act, "DELETE", path)
        return Answer(Outcome.DONE, note)

    async def _lockable(self, act: Act) -> int:
        """A bot can take from others only what it has itself."""
        guild = await self._rights.guild(act.space)
        member = await self._rights.member(act.space, act.conversation.bot)
        if guild is None or member is None:
            return 0
        held = permissions.in_guild(guild, member, act.conversation.bot, self._hands.now())
        return sum(bit for bit in WRITING if held & bit)

    async def _still_written(self, channel: Raw, act: Act) -> str:
        """Roles that a channel allows by name to write still may. That is how the staff does; others are told of."""
        overwrites: list[Raw] = list(channel.get("permission_overwrites") or ())
        named = {str(o["id"]) for o in overwrites if int(o["allow"]) & permissions.SEND_MESSAGES} - {act.space}
        guild = await self._rights.guild(act.space) if named and act.kind is ActKind.LOCK else None
        roles: list[Raw] = list(guild["roles"]) if guild else []
        plain = any(str(r["id"]) in named and not int(r["permissions"]) & permissions.MODERATORS for r in roles)
        return "lock_roles_write" if plain else ""

    async def _pin(self, act: Act) -> Answer:
        outcome = Outcome.NOTHING
        for id in act.messages:
            is_wanted = act.before[id] == YES if id in act.before else act.kind is ActKind.PIN
            try:
                if await self._is_pinned(act, id, strict=True) == is_wanted:
                    continue
                path = f"/channels/{act.conversation.chat}/messages/pins/{id}"
                await self._hands.do(act, "PUT" if is_wanted else "DELETE", path)
                outcome = Outcome.DONE
            except CallFailed as error:
                if error.code == MOST_PINS:
                    return Answer(Outcome.REFUSED, "most_pins", error.detail)
                if error.fault is not OutboundFault.GONE:
                    raise
                outcome = Outcome.GONE if len(act.messages) == 1 else outcome
        return Answer(outcome)

    async def _is_pinned(self, act: Act, id: str, *, strict: bool = False) -> bool:
        try:
            found: Raw = await self._hands.read(f"/channels/{act.conversation.chat}/messages/{id}")
        except CallFailed as error:
            if strict or error.fault is OutboundFault.TRANSIENT:
                raise
            return False
        return bool(found.get("pinned"))

    async def _channel(self, act: Act) -> Raw | None:
        try:
            return await self._hands.read(f"/channels/{act.conversation.chat}")
        except OutboundError as error:
            if error.fault is OutboundFault.GONE:
                return None
            raise


def _is_thread(channel: Raw) -> bool:
    return channel.get("type") in permissions.THREADS


def _everyones(channel: Raw, guild: str) -> Raw | None:
    overwrites: list[Raw] = list(channel.get("permission_overwrites") or ())
    return next((one for one in overwrites if str(one["id"]) == guild), None)
