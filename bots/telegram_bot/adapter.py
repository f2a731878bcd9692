"""Receives from Telegram. An update is acknowledged only once the inbox has it.

python-telegram-bot's own Updater confirms a batch while its handlers still run, and its webhook answers before
anything is kept; so the loop here is Parley's own: getUpdates, inbox, and only then the next offset.

Any number of processes may receive for one bot. Of those that poll one does at a time (``polling``); webhooks are
received by all of them (``webhook``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

import structlog
from telegram.error import TelegramError

from bots.adapter import Inbox
from bots.telegram_bot.api import Api
from bots.telegram_bot.inline import InlineMode
from bots.telegram_bot.insisting import insist
from bots.telegram_bot.looking import Looking
from bots.telegram_bot.menu import BotMenu
from bots.telegram_bot.polling import Accept, Poller
from bots.telegram_bot.pressing import Pressing
from bots.telegram_bot.raw import Me, Raw, chat_name, part
from bots.telegram_bot.seen import Seen
from bots.telegram_bot.standing import Standing
from bots.telegram_bot.translate import message_ids, to_incoming
from core.commands.secret import has_secret
from core.commands.table import BY_NAME
from core.errors import StorageError
from core.message import CommandCall, Incoming, Platform
from core.people.hearing import Hearing
from core.settings import TelegramSettings
from core.storage.leases import RETRY_SECONDS, Leases
from core.storage.shared import Memory
from core.storage.spaces_seen import SpacesSeen
from core.tasks import end, to_the_end

log = structlog.get_logger()

FAREWELL_SECONDS = 2.0
"""A receiver that stops still answers the buttons pressed, for so long."""


class TelegramAdapter:
    """The receiving side of one bot."""

    platform = Platform.TELEGRAM

    def __init__(
        self,
        settings: TelegramSettings,
        api: Api,
        seen: Seen,
        leases: Leases,
        memory: Memory,
        pressing: Pressing,
        menu: BotMenu,
        inline: InlineMode,
        standing: Standing,
        spaces: SpacesSeen,
        hearing: Hearing,
        *,
        image_limit: int = 10_000_000,
    ) -> None:
        self._settings = settings
        self._api = api
        self._seen = seen
        self._leases = leases
        self._memory = memory
        self._pressing = pressing
        self._menu = menu
        self._inline = inline
        self._standing = standing
        self._spaces = spaces
        self._hearing = hearing
        self._looking = Looking(api, hearing.of)
        self._image_limit = image_limit
        self._connected = asyncio.Event()
        self._showing: set[asyncio.Task[None]] = set()
        """Toasts and keyboards on their way."""

    async def run(self, inbox: Inbox) -> None:
        me = await self._who_am_i()

        async def accept(updates: Sequence[Raw]) -> None:
            await self._accept(inbox, me, updates)

        # Before any message is taken.
        await self._read_choices()
        following = asyncio.create_task(self._hearing.follow())
        try:
            if self._settings.webhook_url:
                await self._serve(me, accept)
            else:
                lease = f"telegram:{me.id}:poller"
                poller = Poller(
                    self._api,
                    self._leases,
                    lease,
                    accept,
                    connected=self._connected.set,
                    elected=partial(self._set_menu, me),
                )
                await poller.run()
        finally:
            await end([following])
            await to_the_end(self._finish_showing(), FAREWELL_SECONDS + 1)

    async def _read_choices(self) -> None:
        """What groups chose, also while this process was away."""
        while True:
            try:
                await self._hearing.refresh()
                return
            except StorageError as error:
                log.warning("what groups chose is waited for", cause=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def ready(self) -> None:
        """Returns once updates come in here, or would if the process that polls now ended."""
        await self._connected.wait()

    async def _who_am_i(self) -> Me:
        # A refusal is believed at once: the token has never worked.
        raw = await insist(self._api, "getme", {}, refusals=1)
        log.info("telegram: logged in", username=raw["username"])
        return Me(str(raw["id"]), raw["username"], raw.get("can_read_all_group_messages") is True)

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
                await self._set_menu(me)
                return
            except StorageError as error:
                log.warning("telegram: the webhook is not set up yet", cause=str(error))
            finally:
                await to_the_end(held.release(), FAREWELL_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)

    async def _accept(self, inbox: Inbox, me: Me, updates: Sequence[Raw]) -> None:
        for update in updates:
            if "inline_query" in update:
                self._show(self._inline.offer(update["inline_query"], me))
        await self._looking.learn(updates)
        decided = await self._pressing.decide(await self._inline.begun(self._translated(updates, me)))
        if decided.incoming:
            await inbox.accept(decided.incoming)
            for value in decided.incoming:
                if isinstance(value, CommandCall) and has_secret(BY_NAME.get(value.name)):
                    self._show(self._removed(value))
        for update in updates:
            await self._standing.note(update)
            self._note_space(update, me)
            if "callback_query" in update:
                query = str(update["callback_query"]["id"])
                self._show(self._answered(query, decided.toasts.get(query, "")))
        for show in decided.shows:
            self._show(show())

    def _note_space(self, update: Raw, me: Me) -> None:
        """The group that a message came from."""
        chat = part(part(update, "message"), "chat")
        if chat.get("type") in ("group", "supergroup") and not part(update, "message").get("migrate_to_chat_id"):
            self._spaces.saw(self.platform, me.id, str(chat["id"]), chat_name(chat))

    def _translated(self, updates: Sequence[Raw], me: Me) -> list[Incoming]:
        """The batch; where that fails, each update alone, so that one odd update costs no other."""
        for update in updates:
            for chat, message_id in message_ids(update):
                self._seen.came(chat, message_id)
        try:
            return to_incoming(updates, me, self._image_limit, self._hearing.of, self._looking)
        except Exception:  # a form of update that nobody has seen yet must not stop the bot
            if len(updates) == 1:
                log.exception("telegram: an update could not be read", update=updates[0].get("update_id"))
                return []
            return [value for update in updates for value in self._translated([update], me)]

    def _show(self, work: Coroutine[Any, Any, None]) -> None:
        """Beside the receiving: what comes next does not wait for it."""
        task = asyncio.create_task(work)
        self._showing.add(task)
        task.add_done_callback(self._showing.discard)

    async def _answered(self, query: str, toast: str) -> None:
        """Stops the pressed button's spinning, with a word where there is something to say."""
        fields = {"callback_query_id": query, **({"text": toast} if toast else {})}
        try:
            await self._api.call("answercallbackquery", fields)
        except TelegramError as error:
            log.debug("telegram: a pressed button was not answered", cause=str(error))

    async def _removed(self, call: CommandCall) -> None:
        """The message with a secret in it. In groups that takes a right which the bot may lack."""
        try:
            message = {"chat_id": int(call.conversation.chat), "message_id": int(call.id)}
            await self._api.call("deletemessage", message)
        except (TelegramError, ValueError) as error:
            log.warning("telegram: a message with a secret could not be deleted", cause=str(error))

    async def _finish_showing(self) -> None:
        if self._showing:
            await asyncio.wait(self._showing, timeout=FAREWELL_SECONDS)
        await end(self._showing)

    async def _set_menu(self, me: Me) -> None:
        try:
            await self._menu.set_up(me.id)
        except StorageError as error:
            log.warning("telegram: the command menu was not looked at", cause=str(error))
