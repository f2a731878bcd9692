"""Acts on people: what they may do in a group, and whether they may be there.

Telegram keeps one set of restrictions for each person, with one end. So the newest act stands in place of what was
before, and where there was something before, its end is ours: it brings that back.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from telegram.error import TelegramError

from bots.telegram_bot.clearing import Clearing
from bots.telegram_bot.group_calls import GroupCalls, is_basic
from bots.telegram_bot.permissions import (
    ALL,
    EVERYTHING,
    MEDIA,
    PUBLIC,
    Permissions,
    end_of,
    left_of,
    of_member,
    read,
    without,
)
from bots.telegram_bot.raw import Raw
from core.message import ConversationKey
from core.moderation.acts import MOST_MESSAGES, Act, ActKind, Answer, Outcome

log = structlog.get_logger()

DONE, NOTHING, GONE = Answer(Outcome.DONE), Answer(Outcome.NOTHING), Answer(Outcome.GONE)
SAME_SECONDS = 2
"""By which the end of an act differs when it is counted again."""
NEEDS_SUPERGROUP = Answer(Outcome.REFUSED, "needs_supergroup")


SaidBy = Callable[[str, ConversationKey, str, int, float], Awaitable[Sequence[str]]]
"""Ids of the newest messages in a conversation of a space, of one account, so many at most, since then (unix seconds):
Telegram tells no bot. Raises StorageError."""


class Restricting:
    """Of one bot. Every method raises TelegramError."""

    def __init__(self, calls: GroupCalls, clearing: Clearing, said_by: SaidBy | None = None) -> None:
        self._calls = calls
        self._clearing = clearing
        self._said_by = said_by

    async def take(self, act: Act, seconds: int | None) -> Answer:
        """MUTE, RESTRICT, QUARANTINE."""
        if is_basic(act.conversation):
            return NEEDS_SUPERGROUP
        if not act.account.isdecimal():
            return Answer(Outcome.REFUSED, "channels_are_banned")
        member = await self._calls.member(act.conversation.chat, act.account)
        if member is None or member.get("status") == "kicked":
            # To restrict who is banned would let them in again.
            return GONE
        before = of_member(member)
        match act.kind:
            case ActKind.RESTRICT:
                wanted = without(before, MEDIA, ("can_send_messages", "can_react_to_messages"))
            case ActKind.QUARANTINE:
                wanted = without(before, ALL)
            case _:
                wanted = without(before, PUBLIC)
        until, needs_end = _end(act, seconds, member)
        await self._restrict(act, wanted, until)
        return Answer(Outcome.DONE, needs_end=needs_end)

    async def give_back(self, act: Act) -> Answer:
        """UNMUTE, UNRESTRICT, RELEASE: what ``act.before`` says, else everything."""
        member = await self._calls.member(act.conversation.chat, act.account)
        if member is None:
            return GONE
        if member.get("status") != "restricted":
            # Somebody else gave it back, or they are banned since, which is not for this act to end.
            return NOTHING
        wanted, until = _kept(act) if act.before else (EVERYTHING, 0)
        is_muted = member.get("can_send_messages") is False
        if not act.before and act.kind is not ActKind.RELEASE and is_muted is (act.kind is ActKind.UNRESTRICT):
            return NOTHING
        if of_member(member) == wanted and until == int(member.get("until_date") or 0):
            return NOTHING
        await self._restrict(act, wanted, until)
        return DONE

    async def kick(self, act: Act) -> Answer:
        """One call, so that no ban is left behind by a process that dies between two."""
        chat = act.conversation.chat
        if not act.account.isdecimal():
            return Answer(Outcome.REFUSED, "channels_are_banned")
        member = await self._calls.member(chat, act.account)
        if member is None:
            return GONE
        if member.get("status") in ("left", "kicked") or member.get("is_member") is False:
            # The call would end the ban of who is banned.
            return NOTHING
        # A group that is no supergroup keeps no bans.
        method = "banchatmember" if is_basic(act.conversation) else "unbanchatmember"
        await self._calls.call(method, chat, user_id=int(act.account))
        return DONE

    async def ban(self, act: Act, seconds: int | None) -> Answer:
        if is_basic(act.conversation):
            return NEEDS_SUPERGROUP
        chat = act.conversation.chat
        if not act.account.isdecimal():
            # It knows no end.
            await self._calls.call("banchatsenderchat", chat, sender_chat_id=int(act.account))
            needs_end = seconds is not None
        else:
            member = await self._calls.member(chat, act.account) or {}
            until, needs_end = _end(act, seconds, member)
            await self._ban(act, until)
        count = await self._clear(act) if act.delete_seconds else 0
        return Answer(Outcome.DONE, count=count, needs_end=needs_end)

    async def _clear(self, act: Act) -> int:
        """What they wrote lately, as far as we have seen it, and all their reactions; how many messages."""
        messages = list(act.messages)
        if self._said_by is not None:
            since = time.time() - act.delete_seconds
            messages += await self._said_by(act.place, act.conversation, act.account, MOST_MESSAGES, since)
        await self._clear_reactions(act)
        return await self._clearing.delete(act.conversation.chat, messages)

    async def unban(self, act: Act) -> Answer:
        """To what ``act.before`` says, else to who may come back and write."""
        chat = act.conversation.chat
        if is_basic(act.conversation):
            return NEEDS_SUPERGROUP
        if not act.account.isdecimal():
            await self._calls.call("unbanchatsenderchat", chat, sender_chat_id=int(act.account))
            return DONE
        member = await self._calls.member(chat, act.account)
        if member is None:
            return GONE
        if member.get("status") != "kicked":
            return NOTHING
        was, until = act.before.get("status"), left_of(act.before.get("until", ""))
        if was == "kicked" and until is not None:
            await self._ban(act, until)
            return DONE
        wanted, end = _kept(act)
        if wanted is not EVERYTHING:
            # Who is restricted is not banned: one call does both.
            await self._restrict(act, wanted, end)
        else:
            await self._calls.call("unbanchatmember", chat, user_id=int(act.account), only_if_banned=True)
        return DONE

    async def decide(self, act: Act) -> Answer:
        """APPROVE, DECLINE."""
        method = "approvechatjoinrequest" if act.kind is ActKind.APPROVE else "declinechatjoinrequest"
        await self._calls.call(method, act.conversation.chat, user_id=int(act.account))
        return DONE

    async def _restrict(self, act: Act, permissions: Permissions, until: int) -> None:
        fields = {"permissions": dict(permissions), "use_independent_chat_permissions": True}
        end = {"until_date": until} if until else {}
        await self._calls.call("restrictchatmember", act.conversation.chat, user_id=int(act.account), **fields, **end)

    async def _ban(self, act: Act, until: int) -> None:
        end = {"until_date": until} if until else {}
        await self._calls.call("banchatmember", act.conversation.chat, user_id=int(act.account), **end)

    async def _clear_reactions(self, act: Act) -> None:
        """Since Bot API 10.1; what a server before that cannot do stays."""
        whose = "user_id" if act.account.isdecimal() else "actor_chat_id"
        try:
            await self._calls.call("deleteallmessagereactions", act.conversation.chat, **{whose: int(act.account)})
        except TelegramError as error:
            log.info("telegram: reactions stay", chat=act.conversation.chat, cause=str(error))


def _end(act: Act, seconds: int | None, member: Raw) -> tuple[int, bool]:
    """What Telegram is told of the end, 0 for good, and whether the end is left to us though it could be told."""
    if seconds is None:
        return 0, act.seconds is not None
    end, other = end_of(seconds), int(member.get("until_date") or 0)
    # Nearly the same end is this act's own: a process died before it could note that it was done.
    if member.get("status") in ("restricted", "kicked") and abs(end - other) > SAME_SECONDS:
        return 0, True
    return end, False


def _kept(act: Act) -> tuple[Permissions, int]:
    """The restrictions that are to be restored, and their end."""
    until = left_of(act.before.get("until", ""))
    if act.before.get("status") != "restricted" or until is None:
        return EVERYTHING, 0
    # Nobody is punished by a damaged record.
    return read(act.before.get("permissions", "")) or EVERYTHING, until
