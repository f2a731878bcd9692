"""Who may choose for all in a group: its administrators, asked for at the moment of the act or just before it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

import structlog
from telegram.error import TelegramError

from bots.telegram_bot.api import Api
from core import clock
from core.access import is_owner
from core.message import CommandCall, Platform

log = structlog.get_logger()

FRESH_SECONDS = 60.0
"""An answer is believed for so long: who was made or unmade an administrator a moment ago waits for it at most."""
ASK_SECONDS = 3.0
"""Whoever cannot be told an administrator by then is taken for none."""
MOST_GROUPS = 1000


class Admins:
    """The administrators of groups, as one process knows them."""

    def __init__(self, api: Api, owners: Collection[str] = ()) -> None:
        """``owners`` are those of the settings: they may act everywhere."""
        self._api = api
        self._owners = frozenset(owners)
        self._known: OrderedDict[str, tuple[float, frozenset[str]]] = OrderedDict()
        """By group: when it was asked, and who they are."""

    async def is_admin(self, call: CommandCall) -> bool:
        """Whether the caller may act for all there: everybody may in a private chat of theirs."""
        chat = call.conversation.chat
        # Anonymous administrators write as the group itself.
        if call.private or call.author.id == chat or is_owner(call.author, Platform.TELEGRAM, self._owners):
            return True
        return call.author.id in await self._of(chat)

    async def _of(self, chat: str) -> frozenset[str]:
        asked_at, admins = self._known.get(chat, (0.0, frozenset[str]()))
        now = clock.seconds()
        if asked_at and now < asked_at + FRESH_SECONDS:
            return admins
        try:
            members = await self._api.call("getchatadministrators", {"chat_id": int(chat)}, ASK_SECONDS)
            admins = frozenset(str(member["user"]["id"]) for member in members)
        except (TelegramError, ValueError) as error:
            log.warning("telegram: the administrators are not known", chat=chat, cause=str(error))
            return frozenset()
        self._known[chat] = now, admins
        self._known.move_to_end(chat)
        if len(self._known) > MOST_GROUPS:
            self._known.popitem(last=False)
        return admins
