"""Receives from Telegram. An update is acknowledged only once the inbox has it.

python-telegram-bot's own Updater confirms a batch while its handlers still run, and its webhook answers before
anything is kept; so the loop here is Parley's own: getUpdates, inbox, and only then the next offset.

Any number of processes may receive for one bot. Of those that poll one does at a time (``polling``); webhooks are
received by all of them (``webhook``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from telegram.error import TelegramError

from bots.adapter import Inbox
from bots.telegram_bot.api import Api
from bots.telegram_bot.insisting import insist
from bots.telegram_bot.polling import Accept, Poller
from bots.telegram_bot.seen import Seen
from bots.telegram_bot.translate import Me, Raw, message_ids, to_incoming
from core.errors import StorageError
from core.message import Incoming, Platform
from core.settings import TelegramSettings
from core.storage.leases import RETRY_SECONDS, Leases
from core.storage.shared import Memory
from core.tasks import end, to_the_end

log = structlog.get_logger()

FAREWELL_SECONDS = 2.0
"""A receiver that stops still answers the buttons pressed, for so long."""


class TelegramAdapter:
    """The receiving side of one bot. ``commands`` are names and summaries for Telegram's menu."""

    platform = Platform.TELEGRAM

    def __init__(
        self,
        settings: TelegramSettings,
        api: Api,
        seen: Seen,
        leases: Leases,
        memory: Memory,
        *,
        commands: Sequence[tuple[str, str]] = (),
        image_limit: int = 10_000_000,
    ) -> None:
        self._settings = settings
        self._api = api
        self._seen = seen
        self._leases = leases
        self._memory = memory
        self._menu = [{"command": name, "description": summary} for name, summary in commands]
        self._image_limit = image_limit
        self._connected = asyncio.Event()
        self._answering: set[asyncio.Task[None]] = set()

    async def run(self, inbox: Inbox) -> None:
        me = await self._who_am_i()

        async def accept(updates: Sequence[Raw]) -> None:
            await self._accept(inbox, me, updates)

        try:
            if self._settings.webhook_url:
                await self._serve(me, accept)
            else:
                lease = f"telegram:{me.id}:poller"
                poller = Poller(
                    self._api, self._leases, lease, accept, connected=self._connected.set, elected=self._set_menu
                )
                await poller.run()
        finally:
            await to_the_end(self._finish_answering(), FAREWELL_SECONDS + 1)

    async def ready(self) -> None:
        """Returns once updates come in here, or would if the process that polls now ended."""
        await self._connected.wait()

    async def _who_am_i(self) -> Me:
        # A refusal is believed at once: the token has never worked.
        raw = await insist(self._api, "getme", {}, refusals=1)
        log.info("telegram: logged in", username=raw["username"])
        return Me(str(raw["id"]), raw["username"])

    async def _serve(self, me: Me, accept: Accept) -> None:
        from bots.telegram_bot import webhook

        settings = self._settings
        secret = settings.webhook_secret.get_secret_value()
        async with webhook.serving(settings.webhook_port, secret, accept, host=settings.webhook_host):
            await self._set_up_webhook(me)
            self._connected.set()
            await asyncio.Event().wait()

    async def _set_up_webhook(self, me: Me) -> None:
        """By one process after another: the first one does it, the rest find it done."""
        from bots.telegram_bot.webhook import set_up

        name = f"telegram:{me.id}:webhook"
        while True:
            held = await self._leases.wait(name)
            try:
                await set_up(self._api, self._settings, self._memory, name)
                await self._set_menu()
                return
            except StorageError as error:
                log.warning("telegram: the webhook is not set up yet", cause=str(error))
            finally:
                await to_the_end(held.release(), FAREWELL_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)

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
                self._seen.came(chat, message_id)
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

    async def _finish_answering(self) -> None:
        if self._answering:
            await asyncio.wait(self._answering, timeout=FAREWELL_SECONDS)
        await end(self._answering)

    async def _set_menu(self) -> None:
        """The command menu, written only when it changed: Telegram limits how often."""
        try:
            if self._menu and await self._api.call("getmycommands", {}) != self._menu:
                await self._api.call("setmycommands", {"commands": self._menu})
        except TelegramError as error:
            log.warning("telegram: the command menu could not be set", cause=str(error))
