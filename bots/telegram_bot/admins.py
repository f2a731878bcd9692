"""Who may choose for all in a group, and who may act on others: its administrators, asked for at the moment of the act
or just before it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping

import structlog
from telegram.error import TelegramError

from bots.telegram_bot.api import Api
from bots.telegram_bot.raw import Raw
from core import clock
from core.access import ACTS, OF_ALL, Right, is_owner
from core.errors import RightsUnknownError
from core.message import Platform
from core.people.access import Asker, Standing

log = structlog.get_logger()

FRESH_SECONDS = 60.0
"""An answer is believed for so long: who was made or unmade an administrator a moment ago waits for it at most."""
ASK_SECONDS = 3.0
"""Whoever cannot be told an administrator by then is taken for none."""
MOST_GROUPS = 1000
NEEDED = {
    Right.CONFIGURE: "can_change_info",
    Right.WARN: "can_restrict_members",
    Right.MUTE: "can_restrict_members",
    Right.BAN: "can_restrict_members",
    Right.PURGE: "can_delete_messages",
    Right.SEE_USAGE: "can_change_info",
    Right.TEACH: "can_delete_messages",
}
"""Telegram's right of an administrator for each right; everybody may talk."""
Known = Mapping[str, Raw]
"""A group's administrators by their account ids."""


class Admins:
    """The administrators of groups, as one process knows them."""

    def __init__(self, api: Api, owners: Collection[str] = ()) -> None:
        """``owners`` are those of the settings: they may act everywhere."""
        self._api = api
        self._owners = owners
        self._known: OrderedDict[str, tuple[float, Known]] = OrderedDict()
        """By group: when it was asked, and who they are."""

    async def is_admin(self, call: Asker) -> bool:
        """Whether the caller may act for all there: everybody may in a private chat of theirs."""
        chat = call.conversation.chat
        # Anonymous administrators write as the group itself.
        if call.private or call.author.id == chat or is_owner(call.author, Platform.TELEGRAM, self._owners):
            return True
        try:
            return call.author.id in await self.of(chat)
        except RightsUnknownError as error:
            log.warning("telegram: the administrators are not known", chat=chat, cause=str(error))
            return False

    async def may(self, call: Asker, right: Right) -> bool:
        """Whether the caller has a right there. What is done to others is asked anew, not remembered.

        Of an anonymous administrator nobody knows who it is. Raises RightsUnknownError when Telegram does not tell.
        """
        if right in OF_ALL or is_owner(call.author, Platform.TELEGRAM, self._owners):
            return True
        if call.private:
            return right is Right.CONFIGURE
        known = await self.of(call.conversation.chat, fresh=right in ACTS)
        held = known.get(call.author.id, {})
        return held.get("status") == "creator" or held.get(NEEDED[right]) is True

    async def standing(self, asker: Asker, fresh: bool = False) -> Standing:
        """What somebody is in the group. Raises RightsUnknownError when Telegram does not tell."""
        held = (await self.of(asker.conversation.chat, fresh=fresh)).get(asker.author.id, {})
        if held.get("status") == "creator":
            return Standing(True, frozenset(NEEDED))
        return Standing(False, frozenset(right for right, needed in NEEDED.items() if held.get(needed) is True))

    async def of(self, chat: str, *, fresh: bool = False) -> Known:
        """A group's administrators. Raises RightsUnknownError."""
        asked_at, admins = self._known.get(chat, (0.0, {}))
        now = clock.seconds()
        if asked_at and now < asked_at + FRESH_SECONDS and not fresh:
            return admins
        try:
            members = await self._api.call("getchatadministrators", {"chat_id": int(chat)}, ASK_SECONDS)
            admins = {str(member["user"]["id"]): member for member in members}
        except (TelegramError, ValueError) as error:
            raise RightsUnknownError(str(error)) from error
        self._known[chat] = now, admins
        self._known.move_to_end(chat)
        if len(self._known) > MOST_GROUPS:
            self._known.popitem(last=False)
        return admins
