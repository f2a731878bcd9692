"""The people of a group, as moderators' commands see them. Implements ``core.moderation.members.Members``."""

from __future__ import annotations

import structlog
from telegram.error import BadRequest, TelegramError

from bots.adapter import Page
from bots.pacing import Kind, Pacer
from bots.telegram_bot.admins import Admins
from bots.telegram_bot.api import Api
from bots.telegram_bot.format import to_page
from bots.telegram_bot.raw import Raw, person
from core.errors import RightsUnknownError
from core.message import CommandCall
from core.moderation.members import Member, Rank, Words

log = structlog.get_logger()

MAX_TEXT = 4096
"""UTF-16 units of a message."""
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
        self._pacer = pacer

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
        return Member(who.name, await self._rank(call, status), is_here=_is_here(status, member))

    async def channel(self, call: CommandCall, wanted: str) -> str | None:
        """A group has none."""
        return None

    def link(self, call: CommandCall, message_id: str) -> str:
        """For members of a supergroup; there are none into other groups."""
        chat = call.conversation.chat
        return f"https://t.me/c/{chat.removeprefix(SUPERGROUP)}/{message_id}" if chat.startswith(SUPERGROUP) else ""

    async def tell(self, call: CommandCall, account: str, words: Words, key: str) -> bool:
        """Nobody tells a language of the group's. Whom the bot has no private chat with cannot be told."""
        return await self._told(account, words(""))

    async def tell_moderators(self, call: CommandCall, channel: str, about: str, words: Words, key: str) -> bool:
        """The administrators, as far as they have a private chat with the bot."""
        try:
            admins = await self._admins.of(call.conversation.chat)
        except RightsUnknownError as error:
            log.warning("telegram: the administrators are not known", cause=str(error))
            return False
        people = [id for id, member in admins.items() if not member["user"].get("is_bot") and id != about]
        return any([await self._told(id, words("")) for id in people[:MOST_TOLD]])

    async def _rank(self, call: CommandCall, status: str) -> Rank:
        if status == "creator":
            return Rank.OWNER
        if status != "administrator":
            return Rank.BELOW
        caller = (await self._admins.of(call.conversation.chat)).get(call.author.id, {})
        return Rank.BELOW if caller.get("status") == "creator" else Rank.ABOVE

    async def _told(self, account: str, markdown: str) -> bool:
        if not account.isdecimal():
            return False
        page = _fitting(markdown)
        await self._pacer.draw(account, False, Kind.CREATE)
        fields = {"chat_id": int(account), "text": page.text, "entities": list(page.entities)}
        try:
            await self._api.call("sendmessage", fields)
        except TelegramError as error:
            log.info("telegram: somebody could not be told", person=account, cause=str(error))
            return False
        return True


def _is_here(status: str, member: Raw) -> bool:
    """Who is restricted may have left, too."""
    return status not in GONE and member.get("is_member") is not False


def _fitting(markdown: str) -> Page:
    """As one message: lines that have no room in it are left out."""
    lines = markdown.split("\n")
    page = to_page(markdown)
    while page.length > MAX_TEXT and len(lines) > 1:
        lines = lines[:-1]
        page = to_page("\n".join([*lines, "…"]))
    return page
