"""Pressed buttons, decided where they come in (docs/decisions/0012): what a press means, whatever the platform.

What changes a keyboard or a setting, stops or forgets is done here, beside the mailbox: it does not wait for the
answers before it. What makes an answer is to be posted like any message. No press is believed without a look at what
there is now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from bots.adapter import Button
from bots.buttons import FORGET, MODELS, ROW, Buttons, laid_out
from core.commands import choosing
from core.commands.choosing import Offer
from core.commands.table import BY_NAME
from core.commands.voting import reaction_of
from core.conversation.history import History, Known, State
from core.message import CommandCall, Deletion, Reaction
from core.models.catalog import Catalog
from core.texts import say

PAGES = {MODELS: "regenerate", FORGET: "forget", ROW: "regenerate"}
"""The pages of an answer's keyboard. Each is for whoever may press what is on it."""
IsAdmin = Callable[[CommandCall], Awaitable[bool]]
UNDER_ANSWERS = {"regenerate", "continue", "speak", "stop", "forget", *PAGES}


@dataclass(frozen=True, slots=True)
class Under:
    """Other buttons under the same text; none take those away that were there."""

    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class Instead:
    """Another text, as Markdown, with its buttons."""

    text: str
    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class Gone:
    """The message that the button stands under is to go."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of a press."""

    word: str = ""
    """What is said to who pressed, and to nobody else."""
    post: CommandCall | Deletion | Reaction | None = None
    """What is to be made durable."""
    show: Under | Instead | Gone | None = None
    """What is to be shown in the button's message. It may be lost: the next press shows what holds."""
    evident: bool = False
    """What comes of it is to be seen anyway: the word is for platforms where a press always gets one."""


class Presses:
    """Decides on presses for one bot."""

    def __init__(
        self,
        history: History,
        catalog: Catalog,
        *,
        buttons: bool,
        votes: bool = False,
    ) -> None:
        """``buttons`` is the setting ``chat.buttons``, ``votes`` the platform's ``capabilities.votes``."""
        self._history = history
        self._catalog = catalog
        self._votes = votes
        self._on = buttons
        self._buttons = Buttons(catalog, on=buttons)

    async def decide(self, call: CommandCall, is_admin: IsAdmin) -> Outcome:
        """What comes of a press; a setting is kept and an answer stopped when this returns. Raises StorageError.

        ``is_admin``: whether the caller may act for all there.
        """
        if call.name in UNDER_ANSWERS:
            return await self._under_answer(call, is_admin)
        if call.name in (choosing.SET, choosing.CLOSE):
            return await self._choose(call, is_admin)
        if call.name == "feedback" and (reaction := reaction_of(call)):
            # Like a reaction that a platform tells of: nobody else is to read a word about it.
            return Outcome(say("feedback_thanks", call.author.language), reaction)
        row = BY_NAME.get(call.name)
        if row is None or call.name.startswith("."):
            return Outcome(say("toast.old", call.author.language))
        return Outcome(post=call)

    # ---- under answers

    async def _under_answer(self, call: CommandCall, is_admin: IsAdmin) -> Outcome:
        act = PAGES.get(call.name, call.name)
        known = await self._history.known(call.conversation, call.reply_to, act)
        language = known.preferences.language or call.author.language
        if known.state is State.UNKNOWN:
            # The row goes, so that nobody else is led to press in vain.
            return Outcome(say("toast.unknown", language), show=Under(()))
        if not await _may(call, act, known, is_admin):
            return Outcome(say("not_theirs", language))
        if call.name in PAGES:
            if known.state is State.OPEN:
                # Its next text brings the button that belongs under it.
                return Outcome(say("toast.under_way", language))
            return Outcome(show=Under(self._page(call.name, known, language)))
        if call.name == "stop":
            if await self._history.stop(call.conversation, call.reply_to):
                return Outcome(say("stopped", language), evident=True)
            return Outcome(say("toast.ended", language))
        if call.name == "forget":
            deletion = Deletion(call.conversation, (call.reply_to,), call.update)
            return Outcome(say("forgotten", language), deletion, Under(()))
        return self._posted(call, known, language)

    def _posted(self, call: CommandCall, known: Known, language: str) -> Outcome:
        if known.under_way or (known.state is State.OPEN and call.name != "speak"):
            return Outcome(say("toast.under_way", language))
        if wanted := call.options.get("model"):
            model = choosing.find_model((model.name for model in self._catalog.models), wanted)
            if model is None:
                return Outcome(say("toast.no_model", language), show=Under(self._page(ROW, known, language)))
            call = replace(call, options={"model": model})
        return Outcome(say("toast.begun", language), call, evident=True)

    def _page(self, name: str, known: Known, language: str) -> tuple[Button, ...]:
        if name == MODELS:
            return self._buttons.models(known.answer.model if known.answer else "", language)
        if name == FORGET:
            return self._buttons.forgetting(language)
        return self._buttons.row(
            known.answer.ending if known.answer else "", known.preferences, language, votes=self._votes
        )

    # ---- settings

    def _offer(self, call: CommandCall) -> Offer:
        return Offer.of(self._catalog, buttons=self._on, channels=choosing.is_channel(call))

    async def _choose(self, call: CommandCall, is_admin: IsAdmin) -> Outcome:
        preferences = await self._history.preferences(call.conversation)
        language = preferences.language or call.author.language
        if not await is_admin(call):
            return Outcome(say("admins_only", language))
        if call.name == choosing.CLOSE:
            return Outcome(show=Gone())
        offer, word, is_set = self._offer(call), "", False
        page = None
        for name, value in call.options.items():
            if name == "text":
                page = choosing.choices(value, offer, preferences, language)
            elif (kept := choosing.kept_value(name, value, offer, language)) is None:
                word = say("toast.old", language)
            else:
                await self._history.choose(call.conversation, name, kept)
                preferences = await self._history.preferences(call.conversation)
                language = preferences.language or call.author.language
                word, is_set = say("settings_set", language), True
        text, menu = page or choosing.page(offer, preferences, language)
        return Outcome(word, show=Instead(text, laid_out(menu.rows)), evident=is_set)


async def _may(call: CommandCall, act: str, known: Known, is_admin: IsAdmin) -> bool:
    row = BY_NAME.get(act)
    if row is None or not row.for_asker or call.author.id in (call.conversation.chat, *known.askers):
        return True
    return not call.private and await is_admin(call)
