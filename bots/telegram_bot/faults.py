"""What a Telegram error means for an answer: the library's errors as ``OutboundError``."""

from __future__ import annotations

import re

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
    "wrong file_id",
    "invalid file_id",
    "temporarily unavailable",
)
_CLOSED = (
    "chat not found",
    "peer_id_invalid",
    "channel_private",
    "group chat was deactivated",
    "user_is_blocked",
    "input_user_deactivated",
    # What was asked in a topic was for its readers: with the topic the question is gone.
    "message thread not found",
    "topic_deleted",
    "topic_id_invalid",
)
_FORBIDDEN = (
    "not enough rights",
    "have no rights",
    "need administrator rights",
    "chat_write_forbidden",
    "chat_send_plain_forbidden",
    "chat_restricted",
    "chat_admin_required",
    "topic_closed",
)
_NO_FILES = re.compile(r"not enough rights to send (?!text|messages|a message)|chat_send_(?!plain)\w+_forbidden")
"""Groups can forbid each kind of file by itself."""
_SLOW_MODE = re.compile(r"slowmode_wait_(\d+)")
"""Administrators are exempt, other bots are not."""


def translated(error: TelegramError) -> OutboundError:
    """The same as Parley's own error. Its text is Telegram's, which holds no token."""
    detail = str(error)[:MAX_DETAIL]
    said = detail.lower()
    if isinstance(error, RetryAfter):
        return OutboundError(OutboundFault.RATE_LIMITED, detail, retry_after=seconds_of(error))
    if slow := _SLOW_MODE.search(said):
        return OutboundError(OutboundFault.RATE_LIMITED, detail, retry_after=float(slow[1]))
    if isinstance(error, ChatMigrated):
        return OutboundError(OutboundFault.MOVED, detail)
    return OutboundError(_fault(error, said), detail)


def _fault(error: TelegramError, said: str) -> OutboundFault:
    if isinstance(error, InvalidToken):
        return OutboundFault.FORBIDDEN
    if isinstance(error, BadRequest | Forbidden):
        if _NO_FILES.search(said):
            return OutboundFault.NO_FILES
        if any(text in said for text in _FORBIDDEN):
            return OutboundFault.FORBIDDEN
        if isinstance(error, Forbidden) or any(text in said for text in _CLOSED):
            return OutboundFault.CLOSED
    if isinstance(error, TooLarge) or "too large" in said:
        return OutboundFault.REFUSED
    if not isinstance(error, BadRequest):
        return OutboundFault.TRANSIENT
    return OutboundFault.GONE if any(text in said for text in _GONE) else OutboundFault.REFUSED


def seconds_of(error: RetryAfter) -> float:
    value = error.retry_after
    return float(value if isinstance(value, int) else value.total_seconds())


def is_not_modified(error: TelegramError) -> bool:
    return isinstance(error, BadRequest) and NOT_MODIFIED in str(error).lower()


def is_about_formatting(error: TelegramError) -> bool:
    """The server takes the text, but not the entities or a link in them."""
    said = str(error).lower()
    return isinstance(error, BadRequest) and ("entit" in said or "url" in said)
