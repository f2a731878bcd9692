"""Asks newcomers whether they are people: in the group, or in the chat of somebody who wants to be let in."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from telegram.error import TelegramError

from bots.buttons import laid_out
from bots.pacing import Kind, Pacer
from bots.telegram_bot import utf16
from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import translated
from bots.telegram_bot.keyboard import reply_markup
from bots.telegram_bot.places import GENERAL
from bots.telegram_bot.telling import fitting
from core.errors import OutboundError, OutboundFault
from core.moderation.enforcer import Asked, Site

log = structlog.get_logger()

TURN_SECONDS = 3.0
"""Many may come at once, and Telegram takes 20 messages a minute in a group: others wait for this process meanwhile."""


class Asking:
    """Of one bot."""

    def __init__(self, api: Api, pacer: Pacer) -> None:
        self._api = api
        self._pacer = pacer

    async def ask(self, site: Site, asked: Asked) -> str:
        """Chat and message. In a group the first line is a mention of whom it is for. Raises OutboundError where
        Telegram is away, or has it wait."""
        chat, page = asked.private_chat or site.conversation.chat, fitting(asked.markdown)
        fields: dict[str, Any] = {"chat_id": int(chat), "text": page.text, **reply_markup(laid_out(asked.rows))}
        if asked.private_chat:
            fields["entities"] = list(page.entities)
        else:
            length = utf16.length(page.text.partition("\n")[0])
            user = {"id": int(asked.account), "is_bot": False, "first_name": "-"}
            fields["entities"] = [{"type": "text_mention", "offset": 0, "length": length, "user": user}]
            if site.conversation.thread not in ("", GENERAL):
                fields["message_thread_id"] = int(site.conversation.thread)
        try:
            await asyncio.wait_for(self._pacer.draw(chat, chat.startswith("-"), Kind.CREATE), TURN_SECONDS)
            sent = await self._api.call("sendmessage", fields)
        except TimeoutError as error:
            raise OutboundError(OutboundFault.RATE_LIMITED, "the chat is too busy", retry_after=TURN_SECONDS) from error
        except TelegramError as error:
            meant = translated(error)
            if meant.fault in (OutboundFault.RATE_LIMITED, OutboundFault.TRANSIENT):
                raise meant from error
            log.info("telegram: somebody could not be asked", chat=chat, cause=str(error))
            return ""
        return f"{chat} {sent['message_id']}"

    async def unask(self, where: str) -> None:
        """What :meth:`ask` gave."""
        chat, _, message = where.partition(" ")
        try:
            await self._api.call("deletemessage", {"chat_id": int(chat), "message_id": int(message)})
        except TelegramError as error:
            log.info("telegram: a question stays", chat=chat, cause=str(error))
