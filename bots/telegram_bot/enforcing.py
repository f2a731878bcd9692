"""What the bot can do in its groups. Implements ``core.moderation.enforcer.Enforcer``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import structlog
from telegram.error import TelegramError

from bots.buttons import laid_out
from bots.pacing import Pacer
from bots.telegram_bot.admins import Admins
from bots.telegram_bot.api import Api
from bots.telegram_bot.asking import Asking
from bots.telegram_bot.clearing import Clearing
from bots.telegram_bot.group_calls import MAX_ID, NEEDED, GroupCalls, Moved, answered, is_basic, knowing, permission
from bots.telegram_bot.members import is_here, link_to
from bots.telegram_bot.permissions import LONGEST_SECONDS, SHORTEST_SECONDS, kept, of_chat, written
from bots.telegram_bot.raw import Raw, person
from bots.telegram_bot.restricting import Restricting, SaidBy
from bots.telegram_bot.telling import Telling, fitting
from core.moderation.acts import AUTOMOD, ON_PEOPLE, Act, ActKind, Answer, Outcome
from core.moderation.durations import Span
from core.moderation.enforcer import Asked, Known, Rows, Site
from core.moderation.members import Rank
from core.storage.shared import Once

log = structlog.get_logger()

TIMED = Span(SHORTEST_SECONDS, LONGEST_SECONDS, stays=True)
OURS = Span(longest=None)
"""Telegram ends it by no time."""
_ANYHOW = (ActKind.WARN, ActKind.APPROVE, ActKind.DECLINE)
"""What can be done to administrators, too, and in a group that is no supergroup."""
_Do = Callable[[Act, int | None], Awaitable[Answer]]


class TelegramEnforcer:
    """Of one bot. Slow mode is not in its abilities: the Bot API has no method for it."""

    abilities: Mapping[ActKind, Span] = {
        ActKind.WARN: OURS,
        ActKind.MUTE: TIMED,
        ActKind.UNMUTE: OURS,
        ActKind.RESTRICT: TIMED,
        ActKind.UNRESTRICT: OURS,
        ActKind.QUARANTINE: TIMED,
        ActKind.RELEASE: OURS,
        ActKind.KICK: OURS,
        ActKind.BAN: TIMED,
        ActKind.UNBAN: OURS,
        ActKind.DELETE: OURS,
        ActKind.PURGE: OURS,
        ActKind.REPOST: OURS,
        ActKind.LOCK: OURS,
        ActKind.UNLOCK: OURS,
        ActKind.PIN: OURS,
        ActKind.UNPIN: OURS,
        ActKind.APPROVE: OURS,
        ActKind.DECLINE: OURS,
    }

    def __init__(
        self,
        api: Api,
        admins: Admins,
        pacer: Pacer,
        once: Once | None = None,
        moved: Moved | None = None,
        said_by: SaidBy | None = None,
    ) -> None:
        """Without ``once`` what is told may be told twice; without ``moved`` nobody notes that a group moved; without
        ``said_by`` a ban takes those messages along that the act names."""
        self._calls = GroupCalls(api, moved)
        self._admins = admins
        self._telling = Telling(api, pacer, once)
        self._asking = Asking(api, pacer)
        self._clearing = Clearing(self._calls, self._telling)
        people, things = Restricting(self._calls, self._clearing, said_by), self._clearing
        self._acts: Mapping[ActKind, _Do] = {
            ActKind.WARN: _nothing_to_do,
            ActKind.MUTE: people.take,
            ActKind.RESTRICT: people.take,
            ActKind.QUARANTINE: people.take,
            ActKind.UNMUTE: _endless(people.give_back),
            ActKind.UNRESTRICT: _endless(people.give_back),
            ActKind.RELEASE: _endless(people.give_back),
            ActKind.KICK: _endless(people.kick),
            ActKind.BAN: people.ban,
            ActKind.UNBAN: _endless(people.unban),
            ActKind.APPROVE: _endless(people.decide),
            ActKind.DECLINE: _endless(people.decide),
            ActKind.DELETE: _endless(things.purge),
            ActKind.PURGE: _endless(things.purge),
            ActKind.REPOST: _endless(things.repost),
            ActKind.LOCK: _endless(things.lock),
            ActKind.UNLOCK: _endless(things.lock),
            ActKind.PIN: _endless(things.pin),
            ActKind.UNPIN: _endless(things.pin),
        }

    async def know(self, site: Site, account: str, actor: str) -> Known | None:
        """Who writes as the group itself is an administrator whom nobody knows. Of channels Telegram tells a bot
        nothing: they can be acted on, but for the one that the group belongs to."""
        chat = site.conversation.chat
        if not account.isdecimal():
            return await self._channel(chat, account)
        with knowing():
            member = await self._calls.member(chat, account)
        if member is None:
            return None
        who, status = person(member["user"]), str(member.get("status"))
        return Known(
            account,
            who.name,
            Rank.BOT if account == self._calls.bot else await self._rank(chat, status, actor),
            is_here=is_here(status, member),
            is_admin=status in ("creator", "administrator"),
            language=who.language,
        )

    async def _channel(self, chat: str, account: str) -> Known | None:
        if not _is_account(account):
            return None
        with knowing():
            is_ours = account == chat or str((await self._calls.chat(chat)).get("linked_chat_id")) == account
        return Known(account, "", Rank.ABOVE if is_ours else Rank.BELOW, is_admin=is_ours)

    async def _rank(self, chat: str, status: str, actor: str) -> Rank:
        if status == "creator":
            return Rank.OWNER
        if status != "administrator":
            return Rank.BELOW
        if actor == AUTOMOD:
            return Rank.ABOVE
        standing = (await self._admins.of(chat, fresh=True)).get(actor, {})
        return Rank.BELOW if standing.get("status") == "creator" else Rank.ABOVE

    async def lacking(self, act: Act) -> str:
        if is_basic(act.conversation) and _needs_supergroup(act.kind):
            return "needs_supergroup"
        right = NEEDED.get(act.kind)
        if right is None:
            return ""
        with knowing():
            if not _holds(await self._me_in(act.conversation.chat), right):
                return permission(act.kind)
            if act.kind not in ON_PEOPLE or act.kind in _ANYHOW:
                return ""
            target = await self._calls.member(act.conversation.chat, act.account) or {}
        return "bot_below" if target.get("status") in ("creator", "administrator") else ""

    async def lacking_all(self, site: Site) -> list[tuple[ActKind, str]]:
        """The acts that the bot cannot do in a group as it is, each with the key of the sentence or right. Raises
        RightsUnknownError."""
        with knowing():
            me = await self._me_in(site.conversation.chat)
        found: list[tuple[ActKind, str]] = []
        for kind in self.abilities:
            if is_basic(site.conversation) and _needs_supergroup(kind):
                found.append((kind, "needs_supergroup"))
            elif (right := NEEDED.get(kind)) and not _holds(me, right):
                found.append((kind, permission(kind)))
        return found

    async def blind(self, site: Site) -> str:
        """Key of the sentence that says why rules see little there: the bot is no administrator, and privacy mode keeps
        other messages than its own from it; empty where it sees all. Raises RightsUnknownError."""
        with knowing():
            if (await self._me_in(site.conversation.chat)).get("status") == "administrator":
                return ""
            return "" if (await self._calls.me()).get("can_read_all_group_messages") is True else "rules_see_little"

    async def invites(self, site: Site) -> Sequence[str]:
        """The bot's own: of those that other administrators made Telegram tells no bot."""
        with knowing():
            link = (await self._calls.chat(site.conversation.chat)).get("invite_link")
        return [str(link)] if link else []

    async def before(self, act: Act) -> Mapping[str, str]:
        with knowing():
            return await self._before(act)

    async def _before(self, act: Act) -> Mapping[str, str]:
        chat = act.conversation.chat
        match act.kind:
            case ActKind.WARN | ActKind.APPROVE | ActKind.DECLINE:
                return {}
            case kind if kind in ON_PEOPLE:
                member = await self._calls.member(chat, act.account)
                return kept(member) if member else {}
            case ActKind.LOCK | ActKind.UNLOCK:
                return {"permissions": written(of_chat(await self._calls.chat(chat)))}
            case ActKind.PIN if act.messages and await self._clearing.is_pinned(chat, act.messages[0]):
                return {"pinned": "yes"}
            case _:
                return {}

    async def carry_out(self, act: Act, seconds: int | None) -> Answer:
        do = self._acts.get(act.kind)
        if do is None:
            return Answer(Outcome.REFUSED)
        if act.kind in ON_PEOPLE and not _is_account(act.account):
            return Answer(Outcome.GONE)
        try:
            answer = await do(act, seconds)
            if answer.key == "deleted_too_old" and not _holds(
                await self._me_in(act.conversation.chat), NEEDED[act.kind]
            ):
                # Without the right Telegram says the same of messages of any age.
                return Answer(Outcome.FORBIDDEN, permission(act.kind))
        except TelegramError as error:
            return answered(error, act)
        return answer

    async def recent(self, site: Site, account: str, count: int, seconds: int) -> Sequence[str] | None:
        """Telegram tells no bot."""
        return None

    async def link(self, site: Site, message_id: str) -> str:
        return link_to(site.conversation.chat, message_id)

    async def tell(self, site: Site, account: str, markdown: str, key: str) -> bool:
        return await self._telling.person(account, markdown, key)

    async def post(self, site: Site, channel: str, markdown: str, key: str, buttons: Rows = ()) -> bool:
        """A channel is a topic of the group, by its number, or another group."""
        where, page = site.conversation, replace(fitting(markdown), buttons=laid_out(buttons))
        if channel.isdecimal():
            return await self._telling.say(where.chat, page, thread=channel, key=key)
        if not channel.removeprefix("-").isdecimal():
            return False
        return await self._telling.say(channel, page, key=key)

    async def ask(self, site: Site, asked: Asked) -> str:
        return await self._asking.ask(site, asked)

    async def unask(self, site: Site, where: str) -> None:
        await self._asking.unask(where)

    async def _me_in(self, chat: str) -> Raw:
        return await self._calls.member(chat, self._calls.bot) or {}


def _is_account(account: str) -> bool:
    """Of a person, or of a channel."""
    digits = account.removeprefix("-")
    return digits.isdecimal() and len(digits) <= MAX_ID


def _holds(member: Raw, right: str) -> bool:
    return member.get("status") == "administrator" and member.get(right) is True


def _needs_supergroup(kind: ActKind) -> bool:
    return kind in ON_PEOPLE and kind not in (*_ANYHOW, ActKind.KICK)


async def _nothing_to_do(act: Act, seconds: int | None) -> Answer:
    """Of a warning: it is told and written down by others."""
    return Answer(Outcome.DONE)


def _endless(do: Callable[[Act], Awaitable[Answer]]) -> _Do:
    async def done(act: Act, seconds: int | None) -> Answer:
        return await do(act)

    return done
