"""Calls about a group that act on it, and what Telegram's refusals of them mean."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter, TelegramError

from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import MAX_DETAIL, seconds_of
from bots.telegram_bot.raw import Raw
from core.errors import OutboundError, OutboundFault, RightsUnknownError, StorageError
from core.message import ConversationKey
from core.moderation.acts import Act, ActKind, Answer, Outcome

SUPERGROUP = "-100"
"""The ids of supergroups begin so."""
MAX_ID = 19
"""Digits of the longest number that Telegram takes for an account."""
NEEDED: Mapping[ActKind, str] = {
    **dict.fromkeys(
        (
            ActKind.MUTE,
            ActKind.UNMUTE,
            ActKind.RESTRICT,
            ActKind.UNRESTRICT,
            ActKind.QUARANTINE,
            ActKind.RELEASE,
            ActKind.KICK,
            ActKind.BAN,
            ActKind.UNBAN,
            ActKind.LOCK,
            ActKind.UNLOCK,
        ),
        "can_restrict_members",
    ),
    **dict.fromkeys((ActKind.DELETE, ActKind.PURGE), "can_delete_messages"),
    **dict.fromkeys((ActKind.PIN, ActKind.UNPIN), "can_pin_messages"),
    **dict.fromkeys((ActKind.APPROVE, ActKind.DECLINE), "can_invite_users"),
}
"""The right of an administrator that the bot needs."""
Moved = Callable[[str, str], Awaitable[None]]
"""Notes that a group has become a supergroup: its id and the new one. Raises StorageError."""
_NOBODY = (
    "participant_id_invalid",
    "user_not_participant",
    "user_id_invalid",
    "invalid user",
    "user not found",
    "member not found",
)
_GONE = (
    *_NOBODY,
    "hide_requester_missing",
    "message to delete not found",
    "message to pin not found",
    "message_id_invalid",
    "chat not found",
)
_SO_ALREADY = ("chat_not_modified", "user_already_participant", "message to unpin not found")
_ABOVE = ("user is an administrator", "can't remove chat owner", "user_admin_invalid", "can't restrict self")
_NO_RIGHT = ("not enough rights", "have no rights", "admin_required", "need administrator rights", "right_forbidden")


class GroupCalls:
    """Of one bot."""

    def __init__(self, api: Api, moved: Moved | None = None) -> None:
        self.bot = api.bot
        self._api = api
        self._moved = moved

    async def call(self, method: str, chat: str, **fields: Any) -> Any:
        """In the supergroup that the group has become, if it has. Raises TelegramError."""
        try:
            return await self._api.call(method, {"chat_id": int(chat), **fields})
        except ChatMigrated as error:
            if self._moved is not None:
                try:
                    await self._moved(chat, str(error.new_chat_id))
                except StorageError as away:
                    raise TelegramError(str(away)) from None
            return await self._api.call(method, {"chat_id": error.new_chat_id, **fields})

    async def member(self, chat: str, account: str) -> Raw | None:
        """Somebody's place in the group now; None for whom Telegram does not know, and for channels. Raises
        TelegramError."""
        if not account.isdecimal() or len(account) > MAX_ID:
            return None
        try:
            return await self.call("getchatmember", chat, user_id=int(account))
        except BadRequest as error:
            if any(word in str(error).lower() for word in _NOBODY):
                return None
            raise

    async def chat(self, chat: str) -> Raw:
        """Raises TelegramError."""
        return await self.call("getchat", chat)

    async def me(self) -> Raw:
        """The bot's own account. Raises TelegramError."""
        return await self._api.call("getme", {})


@contextmanager
def knowing() -> Generator[None]:
    """Where something is only asked: raises RightsUnknownError for what Telegram does not tell."""
    try:
        yield
    except TelegramError as error:
        raise RightsUnknownError(str(error)[:MAX_DETAIL]) from None


def answered(error: TelegramError, act: Act) -> Answer:
    """What a refusal means for an act. Raises OutboundError for what may go well the next time."""
    detail = str(error)[:MAX_DETAIL]
    said = detail.lower()
    if isinstance(error, RetryAfter):
        raise OutboundError(OutboundFault.RATE_LIMITED, detail, retry_after=seconds_of(error)) from None
    # A token that is refused for a moment is an outage; BadRequest is a NetworkError to the library.
    if isinstance(error, InvalidToken) or not isinstance(error, BadRequest | Forbidden):
        raise OutboundError(OutboundFault.TRANSIENT, detail) from None
    if any(word in said for word in _SO_ALREADY):
        return Answer(Outcome.NOTHING, detail=detail)
    if any(word in said for word in _GONE):
        return Answer(Outcome.GONE, detail=detail)
    if any(word in said for word in _ABOVE):
        return Answer(Outcome.FORBIDDEN, "bot_below", detail)
    if "supergroup" in said and isinstance(error, BadRequest):
        return Answer(Outcome.REFUSED, "needs_supergroup", detail)
    if any(word in said for word in _NO_RIGHT):
        return Answer(Outcome.FORBIDDEN, permission(act.kind), detail)
    # It was thrown out.
    return Answer(Outcome.FORBIDDEN if isinstance(error, Forbidden) else Outcome.REFUSED, detail=detail)


def permission(kind: ActKind) -> str:
    """Key of the right's name; empty where none is needed."""
    right = NEEDED.get(kind)
    return f"permission.{right}" if right else ""


def is_basic(conversation: ConversationKey) -> bool:
    """A group that is no supergroup: it knows no restrictions and no bans."""
    return not conversation.chat.startswith(SUPERGROUP)
