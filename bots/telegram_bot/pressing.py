"""Pressed buttons, decided where they come in, so that each is answered at once with a word on what comes of it.

What changes a keyboard or a setting, stops or forgets is done here, beside the mailbox: it does not wait for the
answers before it. What makes an answer is posted like any message. No press is believed without a look at what there
is now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from telegram.error import RetryAfter, TelegramError

from bots.adapter import Button
from bots.buttons import FORGET, MODELS, ROW, Buttons, laid_out
from bots.pacing import Kind, Pacer
from bots.telegram_bot.admins import Admins
from bots.telegram_bot.api import Api
from bots.telegram_bot.faults import is_not_modified, seconds_of
from bots.telegram_bot.format import to_page
from bots.telegram_bot.keyboard import PRESS, reply_markup
from bots.telegram_bot.places import message_fields
from core.commands import choosing
from core.commands.choosing import Offer
from core.commands.table import BY_NAME
from core.commands.voting import reaction_of
from core.conversation.history import History, Known, State
from core.message import CommandCall, ConversationKey, Deletion, Incoming, Reaction
from core.models.catalog import Catalog
from core.parts import Menu
from core.texts import say

log = structlog.get_logger()

MAX_TOAST = 200
TURN_SECONDS = 10.0
"""A keyboard that may not be edited by then, because the chat is too busy, stays as it is."""
PAGES = {MODELS: "regenerate", FORGET: "forget", ROW: "regenerate"}
"""The pages of an answer's keyboard. Each is for whoever may press what is on it."""
UNDER_ANSWERS = {"regenerate", "continue", "speak", "stop", "forget", *PAGES}

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


@dataclass(frozen=True, slots=True)
class _Outcome:
    toast: str = ""
    post: CommandCall | Deletion | Reaction | None = None
    show: Show | None = None


class Pressing:
    """Decides on presses for one bot."""

    def __init__(
        self,
        api: Api,
        history: History,
        catalog: Catalog,
        admins: Admins,
        pacer: Pacer,
        *,
        buttons: bool,
    ) -> None:
        """``buttons`` is the setting ``chat.buttons``."""
        self._api = api
        self._history = history
        self._catalog = catalog
        self._admins = admins
        self._pacer = pacer
        self._on = buttons
        self._buttons = Buttons(catalog, on=buttons)

    async def decide(self, incoming: Sequence[Incoming]) -> Decided:
        """Takes the presses out of what came in, and puts in what comes of them. Raises StorageError."""
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
            decided.toasts[id.removeprefix(PRESS)] = outcome.toast[:MAX_TOAST]
            if outcome.show is not None:
                decided.shows.append(outcome.show)
        return decided

    async def _outcome(self, call: CommandCall) -> _Outcome:
        if call.name in UNDER_ANSWERS:
            return await self._under_answer(call)
        if call.name in (choosing.SET, choosing.CLOSE):
            return await self._choose(call)
        if call.name == "feedback" and (reaction := reaction_of(call)):
            # Like a reaction that Telegram tells of: nobody else is to read a word about it.
            return _Outcome(say("feedback_thanks", call.author.language), reaction)
        row = BY_NAME.get(call.name)
        if row is None or call.name.startswith("."):
            return _Outcome(say("toast.old", call.author.language))
        return _Outcome(post=call)

    # ---- under answers

    async def _under_answer(self, call: CommandCall) -> _Outcome:
        act = PAGES.get(call.name, call.name)
        known = await self._history.known(call.conversation, call.reply_to, act)
        language = known.preferences.language or call.author.language
        if known.state is State.UNKNOWN:
            # The row goes, so that nobody else is led to press in vain.
            return _Outcome(say("toast.unknown", language), show=self._keyboard(call, ()))
        if not await self._may(call, act, known):
            return _Outcome(say("not_theirs", language))
        if call.name in PAGES:
            return _Outcome(show=self._keyboard(call, self._page(call.name, known, language)))
        if call.name == "stop":
            stopped = await self._history.stop(call.conversation, call.reply_to)
            return _Outcome(say("stopped" if stopped else "toast.ended", language))
        if call.name == "forget":
            deletion = Deletion(call.conversation, (call.reply_to,), call.update)
            return _Outcome(say("forgotten", language), deletion, self._keyboard(call, ()))
        return self._posted(call, known, language)

    def _posted(self, call: CommandCall, known: Known, language: str) -> _Outcome:
        if known.under_way or (known.state is State.OPEN and call.name != "speak"):
            return _Outcome(say("toast.under_way", language))
        if wanted := call.options.get("model"):
            model = choosing.find_model((model.name for model in self._catalog.models), wanted)
            if model is None:
                row = self._keyboard(call, self._page(ROW, known, language))
                return _Outcome(say("toast.no_model", language), show=row)
            call = replace(call, options={"model": model})
        return _Outcome(say("toast.begun", language), call)

    async def _may(self, call: CommandCall, act: str, known: Known) -> bool:
        row = BY_NAME.get(act)
        if row is None or not row.for_asker or call.author.id in (call.conversation.chat, *known.askers):
            return True
        return not call.private and await self._admins.is_admin(call)

    def _page(self, name: str, known: Known, language: str) -> tuple[Button, ...]:
        if name == MODELS:
            return self._buttons.models(known.answer.model if known.answer else "", language)
        if name == FORGET:
            return self._buttons.forgetting(language)
        return self._buttons.row(known.answer.ending if known.answer else "", known.preferences, language)

    # ---- settings

    async def _choose(self, call: CommandCall) -> _Outcome:
        preferences = await self._history.preferences(call.conversation)
        language = preferences.language or call.author.language
        if not await self._admins.is_admin(call):
            return _Outcome(say("admins_only", language))
        if call.name == choosing.CLOSE:
            return _Outcome(show=lambda: self._remove(call))
        offer, toast = Offer.of(self._catalog, buttons=self._on), ""
        page = None
        for name, value in call.options.items():
            if name == "text":
                page = choosing.choices(value, offer, preferences, language)
            elif (kept := choosing.kept_value(name, value, offer, language)) is None:
                toast = say("toast.old", language)
            else:
                await self._history.choose(call.conversation, name, kept)
                preferences = await self._history.preferences(call.conversation)
                language = preferences.language or call.author.language
                toast = say("settings_set", language)
        text, menu = page or choosing.page(offer, preferences, language)
        return _Outcome(toast, show=lambda: self._turn_page(call, text, menu))

    # ---- showing

    def _keyboard(self, call: CommandCall, buttons: Sequence[Button]) -> Show:
        async def show() -> None:
            fields = {**_message(call), **(reply_markup(buttons) or {"reply_markup": {"inline_keyboard": []}})}
            await self._edit(call, "editmessagereplymarkup", fields)

        return show

    async def _turn_page(self, call: CommandCall, text: str, menu: Menu) -> None:
        shown = to_page(text)
        fields = {**_message(call), "text": shown.text, "entities": list(shown.entities)}
        await self._edit(call, "editmessagetext", fields | reply_markup(laid_out(menu.rows)))

    async def _remove(self, call: CommandCall) -> None:
        """A message that is too old to be deleted stays, without its buttons."""
        try:
            await self._api.call("deletemessage", _message(call))
        except TelegramError:
            await self._keyboard(call, ())()

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
