"""Receives from Telegram. An update is acknowledged only once the inbox has it.

python-telegram-bot's own Updater confirms a batch while its handlers still run, and its webhook answers before
anything is kept; so the loop here is Parley's own: getUpdates, inbox, and only then the next offset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NoReturn

import structlog
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError

from bots.adapter import Inbox
from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import seconds_of
from bots.telegram_bot.seen import Seen
from bots.telegram_bot.translate import UPDATES, Me, Raw, message_ids, to_incoming
from core.errors import SettingsError, StorageError
from core.message import Incoming, Platform
from core.settings import TelegramSettings

log = structlog.get_logger()

POLL_SECONDS = 25
"""How long the server may hold a getUpdates without updates."""
SILENCE_SECONDS = POLL_SECONDS + 10.0
"""A getUpdates that says nothing for so long is dead: a proxy or a router dropped the connection."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
BATCH = 100
REFUSALS = 6
"""401s in a row believed only then, once the token has worked: an outage at Telegram can look like one."""


class TelegramAdapter:
    """The receiving side of one bot. ``commands`` are names and summaries for Telegram's menu."""

    platform = Platform.TELEGRAM

    def __init__(
        self,
        settings: TelegramSettings,
        api: Api,
        seen: Seen,
        *,
        commands: Sequence[tuple[str, str]] = (),
        image_limit: int = 10_000_000,
    ) -> None:
        self._settings = settings
        self._api = api
        self._seen = seen
        self._menu = [{"command": name, "description": summary} for name, summary in commands]
        self._image_limit = image_limit
        self._connected = asyncio.Event()
        self._answering: set[asyncio.Task[None]] = set()

    async def run(self, inbox: Inbox) -> None:
        me = await self._who_am_i()
        menu = asyncio.create_task(self._set_menu())
        try:
            if self._settings.webhook_url:
                await self._serve(inbox, me)
            else:
                await self._poll(inbox, me)
        finally:
            for task in (menu, *self._answering):
                task.cancel()

    async def ready(self) -> None:
        await self._connected.wait()

    async def _who_am_i(self) -> Me:
        raw = await self._insist("getme", {})
        log.info("telegram: logged in", username=raw["username"])
        return Me(str(raw["id"]), raw["username"])

    async def _poll(self, inbox: Inbox, me: Me) -> NoReturn:
        hook = await self._insist("getwebhookinfo", {})
        if hook.get("url"):
            log.warning("telegram: removing the webhook that is set, because this bot polls")
            await self._insist("deletewebhook", {"drop_pending_updates": False})
        offset = 0
        while True:
            # The first call returns at once: its answer shows that this bot is the one that polls.
            waits = POLL_SECONDS if self._connected.is_set() else 0
            fields = {"offset": offset, "limit": BATCH, "timeout": waits, "allowed_updates": list(UPDATES)}
            updates = await self._insist("getupdates", fields, SILENCE_SECONDS)
            self._connected.set()
            if updates:
                await self._accept_for_sure(inbox, me, updates)
                offset = int(updates[-1]["update_id"]) + 1

    async def _serve(self, inbox: Inbox, me: Me) -> None:
        from bots.telegram_bot import webhook

        async def take(update: Raw) -> None:
            await self._accept(inbox, me, [update])

        settings = self._settings
        secret = settings.webhook_secret.get_secret_value()
        async with webhook.serving(settings.webhook_port, secret, take, host=settings.webhook_host):
            fields = {"url": settings.webhook_url, "secret_token": secret, "allowed_updates": list(UPDATES)}
            await self._insist("setwebhook", fields)
            self._connected.set()
            await asyncio.Event().wait()

    async def _accept_for_sure(self, inbox: Inbox, me: Me, updates: Sequence[Raw]) -> None:
        """Until it is in storage; meanwhile Telegram keeps what comes after."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._accept(inbox, me, updates)
                return
            except StorageError as error:
                log.error("telegram: storage does not take what came in", cause=str(error), again_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _accept(self, inbox: Inbox, me: Me, updates: Sequence[Raw]) -> None:
        incoming = self._translated(updates, me)
        if incoming:
            await inbox.accept(incoming)
        for update in updates:
            if "callback_query" in update:
                self._answer(str(update["callback_query"]["id"]))

    def _translated(self, updates: Sequence[Raw], me: Me) -> list[Incoming]:
        """The batch; where that fails, each update alone, so that one odd update costs no other."""
        for update in updates:
            for chat, message_id in message_ids(update):
                self._seen.add(chat, message_id)
        try:
            return to_incoming(updates, me, self._image_limit)
        except Exception:  # a form of update that nobody has seen yet must not stop the bot
            if len(updates) == 1:
                log.exception("telegram: an update could not be read", update=updates[0].get("update_id"))
                return []
            return [value for update in updates for value in self._translated([update], me)]

    def _answer(self, query: str) -> None:
        """Stops the pressed button's spinning."""
        task = asyncio.create_task(self._answered(query))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answered(self, query: str) -> None:
        try:
            await self._api.call("answercallbackquery", {"callback_query_id": query})
        except TelegramError as error:
            log.debug("telegram: a pressed button was not answered", cause=str(error))

    async def _set_menu(self) -> None:
        """The command menu, written only when it changed: Telegram limits how often."""
        try:
            if self._menu and await self._api.call("getmycommands", {}) != self._menu:
                await self._api.call("setmycommands", {"commands": self._menu})
        except TelegramError as error:
            log.warning("telegram: the command menu could not be set", cause=str(error))

    async def _insist(self, method: str, fields: dict[str, Any], seconds: float = 20.0) -> Any:
        """A call that is tried until it succeeds. Raises SettingsError for a token that Telegram refuses."""
        pause, refusals = FIRST_PAUSE, 0
        while True:
            try:
                return await self._api.call(method, fields, seconds)
            except InvalidToken:
                refusals += 1
                if not self._connected.is_set() or refusals >= REFUSALS:
                    raise SettingsError(
                        "TELEGRAM_TOKEN is wrong: Telegram does not know this bot. Copy the token again from "
                        "@BotFather, and check TELEGRAM_API_BASE if that is set."
                    ) from None
                log.warning("telegram: the token was refused", method=method, again_in=pause)
            except RetryAfter as error:
                pause = seconds_of(error)
                log.warning("telegram: asked to wait", method=method, again_in=pause)
            except Conflict:
                log.error(
                    "telegram: another program receives this bot's messages. Stop it, or give this one its own token",
                    again_in=pause,
                )
            except TelegramError as error:
                log.warning("telegram: no connection", method=method, cause=str(error), again_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
