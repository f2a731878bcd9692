"""Rich messages (Bot API 10.1) and previews with a Stop button (10.3), which python-telegram-bot does not know yet.

A self-hosted server may be older. What it refuses for good is not tried again by this process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import structlog
from telegram.error import InvalidToken, TelegramError

from bots.adapter import Page
from bots.telegram_bot.faults import is_not_modified, translated
from bots.telegram_bot.transport import CALL_SECONDS
from core.errors import OutboundError, OutboundFault

log = structlog.get_logger()

Fields = Mapping[str, Any]
STOPPABLE = {"can_stop": True, "keep_on_stop": True}
"""A preview shows Telegram's own Stop button; pressed, it stands until the message takes its place."""
_UNKNOWN = ("message text is empty", "not supported", "method not found")
"""The server does not know rich messages: an older one sees an edit without a text."""
_FORMS = frozenset((OutboundFault.REFUSED, OutboundFault.FORBIDDEN, OutboundFault.NO_FILES))
"""What may hold for rich messages alone: the same as text tells."""
_CONTENT = "can't parse"
"""Begins what is said about the content of one message."""


class Call(Protocol):
    """Calls a method with its fields within so many seconds. Raises TelegramError."""

    async def __call__(self, method: str, fields: Fields, seconds: float = CALL_SECONDS, /) -> Any: ...


def of(page: Page) -> dict[str, Any]:
    """The page as an ``InputRichMessage``. Nothing is looked for in the text, so that nobody is mentioned."""
    return {"rich_message": {"html": page.rich, "skip_entity_detection": True}}


class RichCalls:
    """The calls with rich content. Raises OutboundError; FORM where the page is to be shown as text instead.

    ``call`` is ``Api.call``, or something like it.
    """

    def __init__(self, call: Call) -> None:
        self._raw = call
        self.known = True
        """The server has not refused rich messages as such."""

    async def send(self, fields: Fields, page: Page) -> Any:
        """Creates a message."""
        return await self._call("sendrichmessage", fields, page)

    async def edit(self, fields: Fields, page: Page) -> Any:
        """Replaces a message's content, whatever form it had. An unchanged one is no error."""
        return await self._call("editmessagetext", fields, page)

    async def draft(self, fields: Fields, page: Page, seconds: float) -> None:
        """Shows a preview."""
        await self._call("sendrichmessagedraft", fields, page, seconds)

    async def _call(self, method: str, fields: Fields, page: Page, seconds: float = CALL_SECONDS) -> Any:
        if not self.known:
            raise OutboundError(OutboundFault.FORM, "the server has no rich messages")
        try:
            return await self._raw(method, {**fields, **of(page)}, seconds)
        except TelegramError as error:
            if is_not_modified(error):
                return None
            raise self._learnt(error) from None

    def _learnt(self, error: TelegramError) -> OutboundError:
        """404 means a method that is not there, as well as a wrong token: the call with text will tell."""
        fault = translated(error)
        if fault.fault not in _FORMS:
            return fault
        said = str(error).lower()
        if isinstance(error, InvalidToken) or (_CONTENT not in said and any(text in said for text in _UNKNOWN)):
            self.known = False
            log.warning("telegram: the server refuses rich messages, answers are text", cause=fault.detail)
        return OutboundError(OutboundFault.FORM, fault.detail)
