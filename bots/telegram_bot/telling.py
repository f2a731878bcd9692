"""Tells people in private, and says things in groups, without an answer to anything."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from telegram.error import BadRequest, Forbidden, RetryAfter, TelegramError

from bots.adapter import Page
from bots.pacing import Kind, Pacer
from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import seconds_of
from bots.telegram_bot.format import MAX_TEXT, to_page
from bots.telegram_bot.keyboard import reply_markup
from bots.telegram_bot.places import GENERAL
from core.errors import StorageError
from core.storage.shared import Once

log = structlog.get_logger()

ONCE_SECONDS = 3600
"""What was told for a key is not told again for so long: whoever goes on with what a dead process left comes sooner."""
PATIENCE_SECONDS = 10.0
"""Whoever is told to wait for longer does not say it."""


class Telling:
    """Of one bot. With ``once`` nothing is told twice for a key. Never fails."""

    def __init__(self, api: Api, pacer: Pacer, once: Once | None = None) -> None:
        self._api = api
        self._pacer = pacer
        self._once = once

    async def person(self, account: str, markdown: str, key: str = "") -> bool:
        """In private. Whom the bot has no private chat with cannot be told."""
        return account.isdecimal() and await self.say(account, fitting(markdown), key=key)

    async def say(self, chat: str, page: Page, *, thread: str = "", key: str = "") -> bool:
        """Whether it is said, now or before."""
        what = f"telegram:{self._api.bot}:told:{chat}:{key}" if key else ""
        if not await self._is_first(what):
            return True
        fields: dict[str, Any] = {"chat_id": int(chat), "text": page.text, "entities": list(page.entities)}
        fields |= reply_markup(page.buttons)
        fields["link_preview_options"] = {"is_disabled": True}
        if thread and thread != GENERAL:
            fields["message_thread_id"] = int(thread)
        await self._pacer.draw(chat, chat.startswith("-"), Kind.CREATE)
        try:
            await self._sent(fields)
        except TelegramError as error:
            log.info("telegram: something could not be told", chat=chat, cause=str(error))
            if isinstance(error, BadRequest | Forbidden | RetryAfter):
                await self._give_back(what)
            return False
        return True

    async def _sent(self, fields: dict[str, Any]) -> None:
        try:
            await self._api.call("sendmessage", fields)
        except RetryAfter as error:
            if seconds_of(error) > PATIENCE_SECONDS:
                raise
            await asyncio.sleep(seconds_of(error))
            await self._api.call("sendmessage", fields)

    async def _give_back(self, what: str) -> None:
        """Telegram says that it was not told; whoever tries it again must not take it for told."""
        if what and self._once is not None:
            try:
                await self._once.give_back(what)
            except StorageError as error:
                log.warning("telegram: what was not told is taken for told", cause=str(error))

    async def _is_first(self, what: str) -> bool:
        if not what or self._once is None:
            return True
        try:
            return await self._once.may(what, ONCE_SECONDS)
        except StorageError as error:
            log.warning("telegram: whether something was told is not known", cause=str(error))
            return True


def fitting(markdown: str) -> Page:
    """As one message: lines that have no room in it are left out."""
    lines = markdown.split("\n")
    page = to_page(markdown)
    while page.length > MAX_TEXT and len(lines) > 1:
        lines = lines[:-1]
        page = to_page("\n".join([*lines, "…"]))
    return page
