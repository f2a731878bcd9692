"""What the rules of groups look at, from what one receiver gets: with what only a question to Telegram tells, and each
coming and going once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from telegram.error import TelegramError

from bots.telegram_bot.admins import Admins
from bots.telegram_bot.api import Api
from bots.telegram_bot.raw import Me, Raw, part
from bots.telegram_bot.sighting import seen_in
from core import clock
from core.errors import RightsUnknownError
from core.message import Arrival, Movement, Seen
from core.people.spaces import SpaceSettings

log = structlog.get_logger()
K = TypeVar("K")
V = TypeVar("V")

LINKED_SECONDS = 600.0
"""Which channel a group belongs to is believed for so long."""
STAFF_SECONDS = 60.0
"""Who administers a group is believed for so long: rules let them be. It is asked again before anything is done."""
ASK_SECONDS = 3.0
"""A channel that Telegram does not tell of by then is taken for a stranger's."""
SAME_SECONDS = 10.0
"""An administrator is told twice of somebody who comes: by the group's note, and by an update of its own."""
MOST = 2000
"""Groups, and people who came or went, that are remembered."""


class Looking:
    """Of one receiver. ``chosen`` tells what a group, by its id, chose for itself."""

    def __init__(self, api: Api, chosen: Callable[[str], SpaceSettings]) -> None:
        self._api = api
        self._chosen = chosen
        self._linked: OrderedDict[str, tuple[float, str]] = OrderedDict()
        """By group: when it was asked, and its channel."""
        self._admins = Admins(api)
        self._staff: OrderedDict[str, tuple[float, frozenset[str]]] = OrderedDict()
        """By group: when it was asked, and its administrators."""
        self._came: OrderedDict[tuple[str, str], tuple[Movement, float, int]] = OrderedDict()
        """By group and person: what they did last, when, and by which update it was told."""

    async def learn(self, updates: Sequence[Raw]) -> None:
        """Asks who administers the groups that rules look at, and which channel a group belongs to where somebody
        writes there as a channel. Never fails."""
        for update in updates:
            raw = part(update, "message") or part(update, "edited_message")
            group = str(part(raw, "chat").get("id") or "")
            if not group or not self._is_watched(group):
                continue
            await self._ask_staff(group)
            if "sender_chat" in raw and str(raw["sender_chat"].get("id")) != group:
                await self._ask(group)

    def seen(self, update: Raw, me: Me, image_limit: int) -> list[Seen]:
        """For what was learnt of before."""
        found = seen_in(update, me, image_limit, self._is_watched, self._is_staff)
        return [one for one in found if not isinstance(one, Arrival) or self._is_first(one, int(update["update_id"]))]

    def _is_watched(self, group: str) -> bool:
        return self._chosen(group).moderated is True

    def _is_staff(self, group: str, account: str) -> bool:
        """An administrator, or the channel that the group belongs to."""
        admins = self._staff.get(group, (0.0, frozenset[str]()))[1]
        return account in admins or self._linked.get(group, (0.0, ""))[1] == account

    async def _ask_staff(self, group: str) -> None:
        asked_at, known = self._staff.get(group, (0.0, frozenset[str]()))
        if asked_at and clock.seconds() < asked_at + STAFF_SECONDS:
            return
        try:
            known = frozenset(await self._admins.of(group, fresh=True))
        except RightsUnknownError as error:
            # Not asked anew with every message: that would hold up all of them.
            log.warning("telegram: the administrators are not known", chat=group, cause=str(error))
        _put(self._staff, group, (clock.seconds(), known))

    async def _ask(self, group: str) -> None:
        asked_at, known = self._linked.get(group, (0.0, ""))
        if asked_at and clock.seconds() < asked_at + LINKED_SECONDS:
            return
        try:
            chat = await self._api.call("getchat", {"chat_id": int(group)}, ASK_SECONDS)
            known = str(chat.get("linked_chat_id") or "")
        except TelegramError as error:
            log.warning("telegram: which channel a group belongs to is not known", chat=group, cause=str(error))
        _put(self._linked, group, (clock.seconds(), known))

    def _is_first(self, arrival: Arrival, update: int) -> bool:
        key = arrival.space, arrival.author.id
        movement, at, by = self._came.get(key, (arrival.movement, 0.0, update))
        if by != update and movement is arrival.movement and abs(arrival.at - at) <= SAME_SECONDS:
            return False
        _put(self._came, key, (arrival.movement, arrival.at, update))
        return True


def _put(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > MOST:
        known.popitem(last=False)
