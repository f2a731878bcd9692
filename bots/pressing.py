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
from bots.space_menu import SpaceMenu
from core.access import Right
from core.commands import anonymous, choosing, memory
from core.commands.choosing import Offer
from core.commands.space_pages import SPACE
from core.commands.table import BY_NAME
from core.commands.voting import reaction_of
from core.conversation.history import History, Known, State
from core.conversation.preferences import Preferences
from core.errors import RightsUnknownError
from core.message import CommandCall, Deletion, Reaction
from core.models.catalog import Catalog
from core.moderation import joining
from core.people.choices import chosen, keep
from core.people.community import Community
from core.people.identity import account_of
from core.people.spaces import space_id
from core.storage.deadlines import Deadlines
from core.storage.joining import Newcomers
from core.storage.records import Conflict
from core.texts import say

PAGES = {MODELS: "regenerate", FORGET: "forget", ROW: "regenerate"}
"""The pages of an answer's keyboard. Each is for whoever may press what is on it."""
IsAdmin = Callable[[CommandCall], Awaitable[bool]]
May = Callable[[CommandCall, Right], Awaitable[bool]]
"""Whether a caller has a right where they are. Raises RightsUnknownError."""
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
    form: CommandCall | None = None
    """What lacks a value that is to be asked for in a form, where the platform has forms."""
    evident: bool = False
    """What comes of it is to be seen anyway: the word is for platforms where a press always gets one."""


class Presses:
    """Decides on presses for one bot."""

    def __init__(
        self,
        history: History,
        catalog: Catalog,
        community: Community,
        *,
        buttons: bool,
        votes: bool = False,
        space: SpaceMenu | None = None,
        may: May | None = None,
    ) -> None:
        """``buttons`` is the setting ``chat.buttons``, ``votes`` the platform's ``capabilities.votes``. Without
        ``space`` a menu of a space's settings counts as one of another version. ``may`` tells who may choose a model;
        without it everybody may."""
        self._history = history
        self._catalog = catalog
        self._community = community
        self._votes = votes
        self._space = space
        self._may = may
        self._on = buttons
        self._buttons = Buttons(catalog, on=buttons)

    async def decide(self, call: CommandCall, is_admin: IsAdmin) -> Outcome:
        """What comes of a press; a setting is kept and an answer stopped when this returns. Raises StorageError.

        ``is_admin``: whether the caller may act for all there. Where nobody tells, the press says so: it must not hold
        up what came in beside it.
        """
        try:
            return await self._decided(call, is_admin)
        except (RightsUnknownError, Conflict) as error:
            key = "conflict" if isinstance(error, Conflict) else "rights_unknown"
            return Outcome(say(key, call.author.language))

    async def _decided(self, call: CommandCall, is_admin: IsAdmin) -> Outcome:
        if call.name in UNDER_ANSWERS:
            return await self._under_answer(call, is_admin)
        if call.name == SPACE and self._space is not None:
            turned = await self._space.decide(call)
            show = Instead(*turned.page) if turned.page else None
            return Outcome(turned.word, show=show, evident=turned.evident, form=turned.form)
        if call.name in (choosing.SET, choosing.CLOSE):
            return await self._choose(call, is_admin)
        if call.name == memory.PAGE:
            return await self._recall(call)
        if call.name == anonymous.KNOWN:
            return await self._known(call)
        if call.name == joining.PRESS:
            return await self._joining(call)
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
        language = await self._language(call, known.preferences)
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
        return await self._posted(call, known, language)

    async def _posted(self, call: CommandCall, known: Known, language: str) -> Outcome:
        if known.under_way or (known.state is State.OPEN and call.name != "speak"):
            return Outcome(say("toast.under_way", language))
        if wanted := call.options.get("model"):
            if not await self._may_choose_model(call):
                return Outcome(say("lacking.choose-model", language))
            offer = await self._offer(call)
            model = choosing.find_model(offer.models, wanted)
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

    async def _may_choose_model(self, call: CommandCall) -> bool:
        try:
            return call.private or self._may is None or await self._may(call, Right.CHOOSE_MODEL)
        except RightsUnknownError:
            return False

    # ---- who writes as the group

    async def _known(self, press: CommandCall) -> Outcome:
        """Others than its moderators learn nothing by it, and change nothing."""
        call = await anonymous.waiting(self._community.store, press)
        row = BY_NAME.get(call.name) if call else None
        wanted = sorted(anonymous.rights(row)) if row else []
        if call is None or not wanted:
            return Outcome(say("toast.old", press.author.language), show=Gone())
        if self._may is None or not any([await self._may(press, right) for right in wanted]):
            return Outcome(say(f"lacking.{wanted[0]}", press.author.language))
        return Outcome(say("toast.begun", press.author.language), call, Gone())

    # ---- newcomers

    async def _joining(self, call: CommandCall) -> Outcome:
        """What they have to wait for is done by who works: here nobody who cannot talk yet has a turn."""
        store = self._community.store
        key = await joining.pressed(Newcomers(store), Deadlines(store), call)
        space = await self._community.spaces.of(space_id(call.conversation, call.space))
        return Outcome(say(key, space.language or call.author.language))

    # ---- memory

    async def _recall(self, call: CommandCall) -> Outcome:
        """The presser's own facts, shown to them alone."""
        language = await self._language(call, await self._history.preferences(call.conversation))
        if not (call.private or call.alone):
            return Outcome(say("memory_privately", language))
        word, text, menu = await memory.pressed(self._community.people, call, language)
        return Outcome(word, show=Instead(text, laid_out(menu.rows)), evident=bool(word))

    # ---- settings

    async def _offer(self, call: CommandCall) -> Offer:
        space = await self._community.spaces.of(space_id(call.conversation, call.space))
        person = await self._community.people.of(account_of(call.author, call.conversation.platform))
        titles = await self._community.personas.titles(
            person, space_id(call.conversation, call.space), space.language or person.language or call.author.language
        )
        return Offer.of(
            self._catalog, buttons=self._on, channels=choosing.is_channel(call), space=space, personas=titles
        )

    async def _chosen(self, call: CommandCall) -> Preferences:
        """What holds for all there; in a private chat that is what its one person chose."""
        preferences = await self._history.preferences(call.conversation)
        space = await self._community.spaces.of(space_id(call.conversation, call.space))
        if not call.private:
            return chosen(preferences, space)
        account = account_of(call.author, call.conversation.platform)
        return chosen(preferences, space, await self._community.people.of(account))

    async def _language(self, call: CommandCall, preferences: Preferences) -> str:
        """What is said to the presser is said in this one, as in their turns (``Turn.language``)."""
        space = await self._community.spaces.of(space_id(call.conversation, call.space))
        person = await self._community.people.of(account_of(call.author, call.conversation.platform))
        return chosen(preferences, space, person).language or call.author.language

    async def _choose(self, call: CommandCall, is_admin: IsAdmin) -> Outcome:
        preferences = await self._chosen(call)
        language = await self._language(call, preferences)
        if not await is_admin(call):
            return Outcome(say("admins_only", language))
        if call.name == choosing.CLOSE:
            return Outcome(show=Gone())
        offer, word, is_set = await self._offer(call), "", False
        page = None
        for name, value in call.options.items():
            if name == "text":
                page = choosing.choices(value, offer, preferences, language)
            elif (kept := choosing.kept_value(name, value, offer, language)) is None:
                word = say("toast.old", language)
            elif name == "model" and not await self._may_choose_model(call):
                word = say("lacking.choose-model", language)
            else:
                await keep(self._history, self._community.people, call, name, kept)
                preferences = await self._chosen(call)
                language = await self._language(call, preferences)
                word, is_set = say("settings_set", language), True
        text, menu = page or choosing.page(offer, preferences, language)
        return Outcome(word, show=Instead(text, laid_out(menu.rows)), evident=is_set)


async def _may(call: CommandCall, act: str, known: Known, is_admin: IsAdmin) -> bool:
    row = BY_NAME.get(act)
    if row is None or not row.for_asker or call.author.id in (call.conversation.chat, *known.askers):
        return True
    return not call.private and await is_admin(call)
