"""What a Telegram error means for an answer: the library's errors as ``OutboundError``."""

from __future__ import annotations

from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, RetryAfter, TelegramError

from bots.telegram_bot.transport import TooLarge
from core.errors import OutboundError, OutboundFault

MAX_DETAIL = 300
NOT_MODIFIED = "message is not modified"
_GONE = (
    "message to edit not found",
    "message can't be edited",
    "message to delete not found",
    "message_id_invalid",
    "message identifier is not specified",
    "chat not found",
    "peer_id_invalid",
    "message thread not found",
    "topic_deleted",
    "wrong file_id",
    "invalid file_id",
    "temporarily unavailable",
)
_FORBIDDEN = (
    "not enough rights",
    "have no rights",
    "need administrator rights",
    "chat_write_forbidden",
    "chat_restricted",
    "chat_admin_required",
    "topic_closed",
    "user_is_blocked",
)


def translated(error: TelegramError) -> OutboundError:
    """The same as Parley's own error. Its text is Telegram's, which holds no token."""
    detail = str(error)[:MAX_DETAIL]
    said = detail.lower()
    if isinstance(error, RetryAfter):
        return OutboundError(OutboundFault.RATE_LIMITED, detail, retry_after=seconds_of(error))
    if isinstance(error, Forbidden | InvalidToken):
        return OutboundError(OutboundFault.FORBIDDEN, detail)
    if isinstance(error, ChatMigrated):
        return OutboundError(OutboundFault.GONE, detail)
    if isinstance(error, TooLarge) or "too large" in said:
        return OutboundError(OutboundFault.REFUSED, detail)
    if not isinstance(error, BadRequest):
        return OutboundError(OutboundFault.TRANSIENT, detail)
    if any(text in said for text in _GONE):
        return OutboundError(OutboundFault.GONE, detail)
    if any(text in said for text in _FORBIDDEN):
        return OutboundError(OutboundFault.FORBIDDEN, detail)
    return OutboundError(OutboundFault.REFUSED, detail)


def seconds_of(error: RetryAfter) -> float:
    value = error.retry_after
    return float(value if isinstance(value, int) else value.total_seconds())


def is_not_modified(error: TelegramError) -> bool:
    return isinstance(error, BadRequest) and NOT_MODIFIED in str(error).lower()


def is_about_formatting(error: TelegramError) -> bool:
    """The server takes the text, but not the entities or a link in them."""
    said = str(error).lower()
    return isinstance(error, BadRequest) and ("entit" in said or "url" in said)
