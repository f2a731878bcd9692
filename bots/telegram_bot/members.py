"""The people of a group, as moderators' commands see them. Implements ``core.moderation.members.Members``."""

from __future__ import annotations

import structlog
from telegram.error import BadRequest, TelegramError

from bots.pacing import Pacer
from bots.telegram_bot.admins import Admins
from bots.telegram_bot.api import Api
from bots.telegram_bot.raw import Raw, person
from bots.telegram_bot.telling import Telling, fitting
from core.errors import RightsUnknownError
from core.message import CommandCall
from core.moderation.members import Member, Rank, Words

log = structlog.get_logger()

MOST_TOLD = 10
"""Administrators of a group who are told."""
GONE = ("left", "kicked")
"""Of who is no member now Telegram knows this much."""
SUPERGROUP = "-100"
"""The ids of supergroups begin so; what follows is their number in links."""


class Members:
    """Those of one bot's groups."""

    def __init__(self, api: Api, admins: Admins, pacer: Pacer) -> None:
        self._api = api
        self._admins = admins
        self._telling = Telling(api, pacer)

    async def serves(self, call: CommandCall) -> bool:
        """Commands come from groups that the bot is in."""
        return True

    async def space_name(self, call: CommandCall) -> str:
        return call.place

    async def are_called(self, call: CommandCall, name: str) -> bool:
        """Telegram lists nobody, and shows no answer under another name than the bot's."""
        return False

    async def find(self, call: CommandCall, account: str) -> Member | None:
        if not account.isdecimal():
            return None  # who writes as a group or a channel
        fields = {"chat_id": int(call.conversation.chat), "user_id": int(account)}
        try:
            member: Raw = await self._api.call("getchatmember", fields)
        except BadRequest:
            return None
        except TelegramError as error:
            raise RightsUnknownError(str(error)) from error
        who = person(member["user"])
        if who.is_bot:
            return Member(who.name, Rank.BOT)
        status = str(member.get("status"))
        return Member(who.name, await self._rank(call, status), is_here=is_here(status, member))

    async def channel(self, call: CommandCall, wanted: str) -> str | None:
        """Another group or a channel, by its id, in which the bot is, and the caller an administrator as well."""
        if not wanted.removeprefix("-").isdecimal() or wanted.isdecimal():
            return None
        try:
            return wanted if call.author.id in await self._admins.of(wanted, fresh=True) else None
        except RightsUnknownError:
            return None

    def link(self, call: CommandCall, message_id: str) -> str:
        """For members of a supergroup; there are none into other groups."""
        return link_to(call.conversation.chat, message_id)

    async def tell(self, call: CommandCall, account: str, words: Words, key: str) -> bool:
        """Nobody tells a language of the group's. Whom the bot has no private chat with cannot be told."""
        return await self._telling.person(account, words(""))

    async def tell_moderators(self, call: CommandCall, channel: str, about: str, words: Words, key: str) -> bool:
        """In their channel; else the administrators, as far as they have a private chat with the bot."""
        is_closed = channel.startswith("-") and not await self._reads(channel, about)
        if is_closed and await self._telling.say(channel, fitting(words(""))):
            return True
        try:
            admins = await self._admins.of(call.conversation.chat)
        except RightsUnknownError as error:
            log.warning("telegram: the administrators are not known", cause=str(error))
            return False
        people = [id for id, member in admins.items() if not member["user"].get("is_bot") and id != about]
        return any([await self._telling.person(id, words("")) for id in people[:MOST_TOLD]])

    async def _reads(self, channel: str, account: str) -> bool:
        """Who is a member there must not learn who reported them; also where nobody tells."""
        if not account.isdecimal():
            return False
        try:
            member: Raw = await self._api.call("getchatmember", {"chat_id": int(channel), "user_id": int(account)})
        except BadRequest:
            return False
        except TelegramError:
            return True
        return is_here(str(member.get("status")), member)

    async def _rank(self, call: CommandCall, status: str) -> Rank:
        if status == "creator":
            return Rank.OWNER
        if status != "administrator":
            return Rank.BELOW
        caller = (await self._admins.of(call.conversation.chat)).get(call.author.id, {})
        return Rank.BELOW if caller.get("status") == "creator" else Rank.ABOVE


def link_to(chat: str, message_id: str) -> str:
    """For members of a supergroup; there are none into other groups."""
    is_linked = chat.startswith(SUPERGROUP) and message_id.isdecimal()
    return f"https://t.me/c/{chat.removeprefix(SUPERGROUP)}/{message_id}" if is_linked else ""


def is_here(status: str, member: Raw) -> bool:
    """Who is restricted may have left, too."""
    return status not in GONE and member.get("is_member") is not False
