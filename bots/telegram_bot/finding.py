"""Finds a message whose sending was not confirmed, without changing any message.

Telegram has no call that reads a message, and no key that makes a send idempotent. But message ids grow, so a message
that was sent has one of the ids after the mark that was kept before the send; and a call that must fail tells by
its error what stands under an id. ``editMessageCaption`` with a caption over the limit is such a call:

- ``message to edit not found``: nothing, or another chat's message (private chats share one counter);
- ``message can't be edited``: someone else's message;
- ``there is no caption in the message to edit``: a text or a rich message of ours;
- ``caption is too long``: a file of ours.

Ids that any process of the bot has seen (``seen``) are other messages, unless they were sent for this very turn. In a
chat without topics one conversation writes, one turn at a time: a message of ours that nobody knows is the one looked
for. In a chat with topics it may as well be another topic's, sent by the same worker before it died. Such a message
belongs to an answer that is being looked for, too, so all of them are given back as strays: they can be deleted, and
every answer be sent anew. For that, what is sent in topics is told to all processes before it is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count, islice

import structlog
from telegram.error import BadRequest, RetryAfter

from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import seconds_of
from bots.telegram_bot.seen import Seen
from core.message import ConversationKey

log = structlog.get_logger()

REACH = 100
"""Unknown ids looked at. In a supergroup all that others wrote between mark and send are unknown."""
AT_ONCE = 6
PATIENCE = 3
"""429s obeyed for one id before the search is given up to the caller."""
SETTLE_SECONDS = 3.0
"""What living workers were sending to other topics is known by then."""
_TOO_LONG = "-" * 1025


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found: the message, or messages of which nobody can tell whose they are."""

    message: int | None = None
    strays: tuple[int, ...] = ()


class _Under(Enum):
    """What stands under an id."""

    NOTHING = auto()
    OURS = auto()
    UNCLEAR = auto()


@dataclass(frozen=True, slots=True)
class Search:
    """A search for the message of ``turn`` with an id after ``after``. ``known`` ids are other messages."""

    api: Api
    seen: Seen
    conversation: ConversationKey
    turn: str
    after: int
    known: frozenset[str]

    async def run(self) -> Found:
        """Raises TelegramError, StorageError."""
        await self.seen.learn()
        chat = self.conversation.chat
        sent = [i for i in self.seen.of_turn(chat, self.turn) if i > self.after and str(i) not in self.known]
        if sent:
            # Its id got as far as telling the other processes.
            return Found(min(sent))
        strays: list[int] = []
        ids = self._unknown_ids()
        while some := list(islice(ids, AT_ONCE)):
            results = await asyncio.gather(*(_look(self.api, int(chat), i) for i in some))
            if all(result is _Under.UNCLEAR for result in results):
                log.warning("the Bot API server does not tell which messages exist", chat=chat)
                return Found()
            found = [i for i, result in zip(some, results, strict=True) if result is not _Under.NOTHING]
            if found and not self.conversation.thread:
                return Found(found[0])
            strays += found
        if strays:
            await asyncio.sleep(SETTLE_SECONDS)
            await self.seen.learn()
        return Found(strays=tuple(i for i in strays if not self._is_other(i)))

    def _unknown_ids(self) -> Iterator[int]:
        return islice((i for i in count(self.after + 1) if not self._is_other(i)), REACH)

    def _is_other(self, message_id: int) -> bool:
        return str(message_id) in self.known or self.seen.is_other(self.conversation.chat, message_id, self.turn)


async def _look(api: Api, chat: int, message_id: int) -> _Under:
    fields = {"chat_id": chat, "message_id": message_id, "caption": _TOO_LONG}
    patience = PATIENCE
    while True:
        try:
            await api.call("editmessagecaption", fields)
        except RetryAfter as error:
            if not patience:
                raise
            patience -= 1
            await asyncio.sleep(seconds_of(error))
        except BadRequest as error:
            said = str(error).lower()
            if "no caption" in said:
                return _Under.OURS
            return _Under.UNCLEAR if "too long" in said or "too_long" in said else _Under.NOTHING
        else:
            # No known server takes such a caption.
            return _Under.UNCLEAR
