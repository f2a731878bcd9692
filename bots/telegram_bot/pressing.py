"""Pressed buttons on Telegram: each is answered at once with a word on what comes of it (``bots/pressing.py``)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from telegram.error import RetryAfter, TelegramError

from bots.adapter import Button
from bots.pacing import Kind, Pacer
from bots.pressing import Gone, Instead, May, Outcome, Presses, Under
from bots.space_menu import SpaceMenu
from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import is_not_modified, seconds_of
from bots.telegram_bot.format import to_page
from bots.telegram_bot.keyboard import PRESS, reply_markup
from bots.telegram_bot.places import message_fields
from core.commands.table import BY_NAME
from core.conversation.history import History
from core.errors import RightsUnknownError, UnreadableError
from core.message import CommandCall, ConversationKey, Incoming, Message
from core.models.catalog import Catalog
from core.people.access import Asker, IsAdmin
from core.people.community import Community
from core.people.hearing import Hush, silence_for
from core.people.spaces import space_id
from core.texts import say

log = structlog.get_logger()

MAX_TOAST = 200
TURN_SECONDS = 10.0
"""A keyboard that may not be edited by then, because the chat is too busy, stays as it is."""

Show = Callable[[], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Decided:
    """What comes of a batch of updates."""

    incoming: list[Incoming] = field(default_factory=list[Incoming])
    """What is to be made durable."""
    toasts: dict[str, str] = field(default_factory=dict[str, str])
    """What is said to who pressed, by callback query."""
    shows: list[Show] = field(default_factory=list[Show])
    """What is to be shown once the batch is kept; may be lost."""


class Pressing:
    """Decides on presses for one bot."""

    def __init__(
        self,
        api: Api,
        history: History,
        catalog: Catalog,
        community: Community,
        is_admin: IsAdmin,
        pacer: Pacer,
        *,
        buttons: bool,
        space: SpaceMenu | None = None,
        may: May | None = None,
    ) -> None:
        """``is_admin`` tells who may choose for all in a group, ``may`` who may choose a model, ``buttons`` is the
        setting ``chat.buttons``."""
        self._api = api
        self._is_admin = is_admin
        self._pacer = pacer
        self._community = community
        self._presses = Presses(history, catalog, community, buttons=buttons, space=space, may=may)

    async def decide(self, incoming: Sequence[Incoming]) -> Decided:
        """Takes the presses out of what came in, and puts in what comes of them. Raises StorageError."""
        incoming = [await self._informed(value) for value in incoming]
        calls = (value for value in incoming if isinstance(value, CommandCall))
        presses = {call.id: call for call in calls if call.id.startswith(PRESS)}
        if not presses:
            return Decided(list(incoming))
        outcomes = await asyncio.gather(*map(self._outcome, presses.values()))
        by_id = dict(zip(presses, outcomes, strict=True))
        decided, posted = Decided(), set[tuple[ConversationKey, str, str]]()
        for value in incoming:
            outcome = by_id.get(value.id) if isinstance(value, CommandCall) else None
            if outcome is None:
                decided.incoming.append(value)
            elif isinstance(outcome.post, CommandCall):
                # A finger that trembles presses twice.
                call = (outcome.post.conversation, outcome.post.name, outcome.post.reply_to)
                if call not in posted:
                    decided.incoming.append(outcome.post)
                posted.add(call)
            elif outcome.post is not None:
                decided.incoming.append(outcome.post)
        for id, outcome in by_id.items():
            decided.toasts[id.removeprefix(PRESS)] = outcome.word[:MAX_TOAST]
            if outcome.show is not None:
                decided.shows.append(self._show(presses[id], outcome))
        return decided

    async def _outcome(self, press: CommandCall) -> Outcome:
        try:
            return await self._presses.decide(press, self._is_admin)
        except UnreadableError as error:
            log.warning("telegram: a press is not decided", cause=str(error))
            return Outcome(say("toast.old", press.author.language))

    async def _informed(self, value: Incoming) -> Incoming:
        """What one space has damaged holds up nothing of what came beside it: it is found with the turn."""
        try:
            return await self._known(value)
        except UnreadableError as error:
            log.warning("telegram: it is not known who somebody is", cause=str(error))
            return value

    async def _known(self, value: Incoming) -> Incoming:
        """A command that acts as soon as it is kept, and a message in quiet hours, with what its author may do: nobody
        asks it later."""
        if isinstance(value, Message):
            is_told = not value.by_admin and await self._is_quiet(value) and await self._may_choose(value)
            return replace(value, by_admin=True) if is_told else value
        row = BY_NAME.get(value.name) if isinstance(value, CommandCall) and not value.private else None
        if row is None or not row.urgent or not isinstance(value, CommandCall):
            return value
        return replace(value, by_admin=await self._may_choose(value))

    async def _is_quiet(self, message: Message) -> bool:
        if message.overheard or not message.space:
            return False
        space = await self._community.spaces.of(space_id(message.conversation, message.space))
        hush = silence_for(message, space, time.time(), self._community.settings.chat.time_zone)
        return hush is not None and hush.why is Hush.QUIET

    async def _may_choose(self, asker: Asker) -> bool:
        try:
            return await self._is_admin(asker)
        except RightsUnknownError as error:
            log.warning("telegram: nobody tells whether somebody is an administrator", cause=str(error))
            return False

    # ---- showing

    def _show(self, call: CommandCall, outcome: Outcome) -> Show:
        async def show() -> None:
            match outcome.show:
                case Under(buttons):
                    await self._turn_keyboard(call, buttons)
                case Instead(text, buttons):
                    await self._turn_page(call, text, buttons)
                case Gone():
                    await self._remove(call)
                case None:
                    pass

        return show

    async def _turn_keyboard(self, call: CommandCall, buttons: Sequence[Button]) -> None:
        fields = {**_message(call), **(reply_markup(buttons) or {"reply_markup": {"inline_keyboard": []}})}
        await self._edit(call, "editmessagereplymarkup", fields)

    async def _turn_page(self, call: CommandCall, text: str, buttons: Sequence[Button]) -> None:
        shown = to_page(text)
        fields = {**_message(call), "text": shown.text, "entities": list(shown.entities)}
        await self._edit(call, "editmessagetext", fields | reply_markup(buttons))

    async def _remove(self, call: CommandCall) -> None:
        """A message that is too old to be deleted stays, without its buttons."""
        try:
            await self._api.call("deletemessage", _message(call))
        except TelegramError:
            await self._turn_keyboard(call, ())

    async def _edit(self, call: CommandCall, method: str, fields: dict[str, Any]) -> None:
        chat, group = call.conversation.chat, not call.private
        try:
            await asyncio.wait_for(self._pacer.draw(chat, group, Kind.FINAL_EDIT, call.space), TURN_SECONDS)
            await self._api.call(method, fields)
        except TimeoutError:
            log.info("telegram: a keyboard is not changed, the chat is too busy", chat=chat)
        except RetryAfter as error:
            self._pacer.refused(chat, seconds_of(error), False)
        except TelegramError as error:
            if not is_not_modified(error):
                log.info("telegram: a keyboard is not changed", chat=chat, cause=str(error))


def _message(call: CommandCall) -> dict[str, Any]:
    """The message that the button stands under."""
    if not call.reply_to.isdecimal():
        # One that was sent by way of the bot, in a chat that the bot knows nothing of.
        return {"inline_message_id": call.reply_to}
    return message_fields(call.conversation, call.reply_to)
