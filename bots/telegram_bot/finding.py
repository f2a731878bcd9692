"""Finds a message whose sending was not confirmed, without changing any message.

Telegram has no call that reads a message, and no key that makes a send idempotent. But message ids grow, so a message
that was sent has one of the ids after the mark that was kept before the send; and a call that must fail tells by
its error what stands under an id. ``editMessageCaption`` with a caption over the limit is such a call:

- ``message to edit not found``: nothing, or another chat's message (private chats share one counter);
- ``message can't be edited``: someone else's message;
- ``there is no caption in the message to edit``: a text of ours;
- ``caption is too long``: a file of ours.

Ids that this process has seen are other messages. In a chat without topics the turn is the only one that writes, so
a message of ours that nobody knows is the one looked for. In a chat with topics another topic's unconfirmed message
looks the same: there, only a single unknown message is taken, and of several none. A message may then
be sent twice, which is better than two answers writing into one message.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto

import structlog
from telegram.error import BadRequest, RetryAfter

from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import seconds_of
from bots.telegram_bot.seen import Seen
from core.message import ConversationKey

log = structlog.get_logger()

REACH = 60
"""Ids looked at. Over 100 chats' messages come between mark and send only when a send hangs for seconds."""
AT_ONCE = 6
PATIENCE = 3
"""429s obeyed for one id before the search is given up to the caller."""
_TOO_LONG = "-" * 1025


class _Under(Enum):
    """What stands under an id."""

    NOTHING = auto()
    OURS = auto()
    UNCLEAR = auto()


async def find(api: Api, seen: Seen, conversation: ConversationKey, after: int, known: frozenset[str]) -> int | None:
    """The id of the unknown message of ours after ``after``, or None. Raises TelegramError."""
    chat = conversation.chat
    ids = [i for i in range(after + 1, after + 1 + REACH) if str(i) not in known and not seen.has(chat, i)]
    found: list[int] = []
    for at in range(0, len(ids), AT_ONCE):
        some = ids[at : at + AT_ONCE]
        results = await asyncio.gather(*(_look(api, int(chat), i) for i in some))
        if all(result is _Under.UNCLEAR for result in results):
            log.warning("the Bot API server does not tell which messages exist", chat=chat)
            return None
        found += [i for i, result in zip(some, results, strict=True) if result is not _Under.NOTHING]
        if found and not conversation.thread:
            return found[0]
    # What another topic was sending meanwhile has been confirmed by now.
    found = [i for i in found if not seen.has(chat, i)]
    if len(found) > 1:
        log.warning("several messages may be the one looked for: sending anew", conversation=str(conversation))
        return None
    return found[0] if found else None


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
