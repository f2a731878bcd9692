"""Presses in the menu of a space's settings, decided where they come in like those of /settings (``bots/pressing.py``).

Nothing is believed but what a press carries and what there is now: the right is asked again, a value is read like a
typed one, and a page that shows an older version than there is changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from bots.adapter import Button
from bots.buttons import laid_out
from core.access import Right
from core.commands import space_pages
from core.commands.space_pages import IMPORT, LOG, UNDO, Asked
from core.commands.spaces import RIGHT, SEEN, terms_of, zone_in
from core.errors import RightsUnknownError
from core.message import CommandCall
from core.models.catalog import Catalog
from core.people import changing, fields, transfer
from core.people.changing import Actor, NothingToUndo, change_space
from core.people.community import Community
from core.people.fields import Refused, Terms
from core.people.identity import account_of
from core.people.spaces import SpaceSettings, space_id
from core.storage.proposals import Proposals
from core.storage.records import Conflict, Kept
from core.texts import say

May = Callable[[CommandCall, Right], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Turned:
    """What comes of a press: a word to who pressed, and the page as it is now."""

    word: str = ""
    page: tuple[str, tuple[Button, ...]] | None = None
    form: CommandCall | None = None
    """The call that a form is to complete."""
    evident: bool = False


class SpaceMenu:
    """Decides on the presses of one bot."""

    def __init__(self, community: Community, catalog: Catalog, may: May, *, forms: bool = False) -> None:
        """``forms``: the platform can ask for a value in a form."""
        self._community = community
        self._catalog = catalog
        self._may = may
        self._forms = forms

    async def decide(self, call: CommandCall) -> Turned:
        """What comes of it; what it sets is kept when this returns. Raises StorageError."""
        id = space_id(call.conversation, call.space)
        person = await self._community.people.of(account_of(call.author, call.conversation.platform))
        kept = await self._community.spaces.records.fresh(id)
        language = kept.value.language or person.language or call.author.language
        asked = space_pages.asked(call.options.get("text", ""))
        if not id:
            return Turned(say("toast.old", language))
        try:
            if person.blocked or not await self._may(call, RIGHT):
                return Turned(say(f"lacking.{RIGHT}", language))
        except RightsUnknownError:
            return Turned(say("rights_unknown", language))
        terms = await terms_of(self._community, self._catalog, call, person, language)
        if asked is None:
            return Turned(say("toast.old", language), self._shown(space_pages.front(kept, terms)))
        if asked.act == LOG:
            entries = await changing.history(self._community, id, space_pages.LOGGED)
            zone = zone_in(self._community, kept.value)
            return Turned(page=self._shown(space_pages.log(entries, kept, terms, zone)))
        if asked.sign == "?" and asked.field is not None:
            return Turned(form=self._form(call, asked.field.name, asked.version))
        if asked.act or asked.sign:
            return await self._change(call, asked, kept, terms, Actor(person.id, call.author.name))
        return Turned(page=self._page(asked, kept, terms))

    async def _change(
        self, call: CommandCall, asked: Asked, kept: Kept[SpaceSettings], terms: Terms, actor: Actor
    ) -> Turned:
        language = terms.language
        try:
            if asked.act == UNDO:
                await changing.undo(self._community, kept.id, actor, seen=asked.version)
                word = say("space_undone_short", language)
            elif asked.act == IMPORT:
                text = await Proposals(self._community.store).find(kept.id, asked.what)
                if text is None:
                    return Turned(say("import_late", language))
                wanted = transfer.read(text.encode(), terms)
                await change_space(
                    self._community, kept.id, actor, lambda space: transfer.applied(space, wanted), seen=asked.version
                )
                word = say("settings_set", language)
            else:
                await change_space(
                    self._community, kept.id, actor, lambda space: _set(space, asked, terms), seen=asked.version
                )
                word = say("settings_set", language)
        except Refused as refused:
            word = say(refused.key, language, **refused.values)
            return Turned(word, self._page(asked, kept, terms))
        except NothingToUndo:
            return Turned(say("space_undo_none", language))
        except Conflict:
            word = say("conflict", language)
            return Turned(word, self._page(asked, await self._community.spaces.records.fresh(kept.id), terms))
        now = await self._community.spaces.records.get(kept.id)
        return Turned(word, self._page(asked, now, terms), evident=True)

    def _page(self, asked: Asked, kept: Kept[SpaceSettings], terms: Terms) -> tuple[str, tuple[Button, ...]]:
        if asked.field is not None:
            return self._shown(space_pages.page(asked.field, kept, terms, forms=self._forms))
        return self._shown(
            space_pages.group(asked.group, kept, terms) if asked.group else space_pages.front(kept, terms)
        )

    def _shown(self, page: space_pages.Page) -> tuple[str, tuple[Button, ...]]:
        text, rows = page
        return text, laid_out(rows)

    def _form(self, call: CommandCall, name: str, seen: int) -> CommandCall:
        return replace(call, name="admin set", options={"field": name, SEEN: str(seen)}, reply_to="", quote=None)


def _set(settings: SpaceSettings, asked: Asked, terms: Terms) -> SpaceSettings:
    if asked.field is None:
        return settings
    value = space_pages.value_of(asked.field, asked.sign, asked.value, settings, terms)
    return fields.put(settings, asked.field, value)
