"""Where the bot may not write: who asked is told in private, else who added the bot; each once a day at most."""

from __future__ import annotations

import structlog
from telegram.error import TelegramError

from bots.telegram_bot.api import Api
from bots.telegram_bot.lifecycle import comes
from bots.telegram_bot.raw import Raw, part, person
from core.conversation.turn import Turn
from core.errors import StorageError
from core.storage.shared import Memory, Once
from core.texts import say

log = structlog.get_logger()

DAY = 24 * 3600
MAX_PLACE = 100
"""Characters of a place's name."""


class Standing:
    """How one bot stands in its groups, as far as people are to know. ``bot`` is its account id."""

    def __init__(self, api: Api, memory: Memory, once: Once, bot: str) -> None:
        self._api = api
        self._memory = memory
        self._once = once
        self._name = f"telegram:{bot}"

    async def note(self, update: Raw) -> None:
        """Remembers who added the bot to a group, also when the group becomes a supergroup. Raises StorageError."""
        member = part(update, "my_chat_member")
        if member and comes(member) and member["chat"].get("type") != "private":
            adder = person(member["from"])
            # Anonymous administrators act as a bot.
            if not adder.is_bot:
                await self._memory.remember(self._added(str(member["chat"]["id"])), f"{adder.id} {adder.language}")
        message = part(update, "message")
        if new := message.get("migrate_to_chat_id"):
            words = await self._memory.recall(self._added(str(message["chat"]["id"])))
            if words:
                await self._memory.remember(self._added(str(new)), words)

    async def tell(self, turn: Turn) -> None:
        """The bot may not write where it was asked. Never fails, and nothing is tried again."""
        if turn.incoming.private:
            return
        try:
            await self._tell(turn)
        except StorageError as error:
            log.warning("telegram: nobody is told that the bot may not write", turn=turn.id, cause=str(error))

    async def _tell(self, turn: Turn) -> None:
        chat, asker, place = turn.conversation.chat, turn.incoming.author.id, turn.incoming.place[:MAX_PLACE]
        if not await self._first(f"{chat}:{asker}"):
            return
        if await self._sent(asker, say("no_right_asked", turn.language, place=place)):
            return
        # They have no private chat with the bot.
        adder, _, language = (await self._memory.recall(self._added(chat)) or "").partition(" ")
        if adder and adder != asker and await self._first(f"{chat}:added"):
            await self._sent(adder, say("no_right_added", language, place=place))

    async def _first(self, what: str) -> bool:
        return await self._once.may(f"{self._name}:no_right:{what}", DAY)

    async def _sent(self, account: str, text: str) -> bool:
        """Whether they could be written to. A bot cannot begin a private chat."""
        if not account.isdecimal():
            return False  # who writes as a group or a channel
        try:
            await self._api.call("sendmessage", {"chat_id": int(account), "text": text})
        except TelegramError as error:
            log.info("telegram: not told that the bot may not write", person=account, cause=str(error))
            return False
        return True

    def _added(self, chat: str) -> str:
        return f"{self._name}:added:{chat}"
