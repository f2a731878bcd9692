"""Acts on messages and on the whole group: what stands there, what is pinned, whether anybody may write."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from telegram.error import BadRequest

from bots.telegram_bot.format import retold
from bots.telegram_bot.group_calls import GroupCalls
from bots.telegram_bot.permissions import SENDING, of_chat, read, without
from bots.telegram_bot.raw import part
from bots.telegram_bot.telling import Telling
from core.moderation.acts import MOST_MESSAGES, Act, ActKind, Answer, Outcome
from core.moderation.evidence import said_before
from core.texts import plain_line

log = structlog.get_logger()

MOST_AT_ONCE = 100
"""Messages that one call deletes."""
MAX_AUTHOR = 64
MAX_DIGITS = 10
"""Of a message's number."""
DONE, NOTHING = Answer(Outcome.DONE), Answer(Outcome.NOTHING)


class Clearing:
    """Of one bot. Every method raises TelegramError."""

    def __init__(self, calls: GroupCalls, telling: Telling) -> None:
        self._calls = calls
        self._telling = telling

    async def purge(self, act: Act) -> Answer:
        """DELETE, PURGE."""
        wanted = len(_ids(act.messages))
        count = await self.delete(act.conversation.chat, act.messages)
        if not wanted:
            return Answer(Outcome.GONE)
        if count == wanted:
            return Answer(Outcome.DONE, count=count)
        # Bots may delete what is less than 48 hours old.
        return Answer(Outcome.DONE if count else Outcome.REFUSED, "deleted_too_old", count=count)

    async def delete(self, chat: str, messages: Sequence[str]) -> int:
        """How many of them are gone, those that were gone before with them: Telegram does not tell these apart."""
        ids, count = _ids(messages), 0
        while ids:
            chunk, ids = ids[-MOST_AT_ONCE:], ids[:-MOST_AT_ONCE]
            done = await self._newest(chat, chunk)
            count += done
            if done < len(chunk):
                # What cannot be deleted is too old, and so is what came before it.
                break
        return count

    async def _newest(self, chat: str, ids: Sequence[int]) -> int:
        """Deletes as many of the newest as can be. One that cannot be keeps all in its call from being deleted."""
        done, size = 0, len(ids)
        while ids:
            newer = ids[-size:]
            if await self._are_gone(chat, newer):
                done += len(newer)
                ids = ids[: -len(newer)]
                size = min(size, len(ids))
            elif size == 1:
                break
            else:
                size = size // 2
        return done

    async def _are_gone(self, chat: str, ids: Sequence[int]) -> bool:
        try:
            await self._calls.call("deletemessages", chat, message_ids=list(ids))
        except BadRequest as error:
            said = str(error).lower()
            if "can't be deleted" in said or "delete_forbidden" in said:
                return False
            if "not found" not in said:
                raise
        return True

    async def repost(self, act: Act) -> Answer:
        """What was deleted, in its old order, each once."""
        said = said_before(act.before)
        count = 0
        for id in sorted(said, key=_order):
            page = retold(plain_line(said[id].author, MAX_AUTHOR) or "?", said[id].text)
            where, key = act.conversation, f"{act.id}:{id}"
            count += await self._telling.say(where.chat, page, thread=where.thread, key=key)
        if not said:
            return Answer(Outcome.GONE)
        return Answer(Outcome.DONE if count else Outcome.REFUSED, count=count)

    async def pin(self, act: Act) -> Answer:
        """PIN, UNPIN. Nobody is notified. One that was pinned before stays so."""
        if not act.messages or act.before.get("pinned") == "yes":
            return NOTHING
        quietly = {"disable_notification": True} if act.kind is ActKind.PIN else {}
        method = "pinchatmessage" if act.kind is ActKind.PIN else "unpinchatmessage"
        await self._calls.call(method, act.conversation.chat, message_id=int(act.messages[0]), **quietly)
        return DONE

    async def lock(self, act: Act) -> Answer:
        """LOCK, UNLOCK: of the whole group, whatever topic it was asked for in."""
        chat = act.conversation.chat
        now = of_chat(await self._calls.chat(chat))
        if act.kind is ActKind.LOCK:
            wanted = without(now, SENDING)
        elif not (wanted := read(act.before.get("permissions", ""))):
            wanted = now if now.get("can_send_messages") else without(now, (), SENDING)
        if wanted == now:
            return NOTHING
        fields = {"permissions": dict(wanted), "use_independent_chat_permissions": True}
        await self._calls.call("setchatpermissions", chat, **fields)
        return DONE

    async def is_pinned(self, chat: str, message_id: str) -> bool:
        """As far as Telegram tells: of the newest that is pinned."""
        pinned = part(await self._calls.chat(chat), "pinned_message")
        return str(pinned.get("message_id")) == message_id


def _ids(messages: Sequence[str]) -> list[int]:
    """Those of the group as it is now, the oldest first. One that became a supergroup counts anew, and what was there
    before cannot be deleted by its old number."""
    return sorted({int(id) for id in messages if id.isdecimal() and len(id) <= MAX_DIGITS})[-MOST_MESSAGES:]


def _order(id: str) -> tuple[bool, int]:
    return id.isdecimal(), int(id) if id.isdecimal() else 0
