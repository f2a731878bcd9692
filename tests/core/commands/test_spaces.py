"""The settings of a space by commands and by the menu: who may, what is kept, and of two at once the second is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bots.buttons import command_of, laid_out
from bots.space_menu import SpaceMenu, Turned
from core.access import Right
from core.commands.table import meant
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.errors import RightsUnknownError
from core.message import Attachment, AttachmentKind, Author, CommandCall
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.parts import Media, Menu, Notice, Part, TextDelta
from core.people.access import Asker
from core.people.changing import Actor, change_space, history
from core.people.community import Community
from core.people.fields import FIELDS, GROUPS, Kind
from core.people.spaces import Grant, SpaceSettings
from core.settings import Settings
from core.storage.client import Store
from core.storage.records import Kept
from core.texts import say
from tests.builders import ADA, call, conversation
from tests.core.engines import engine

BOB = Author("8", "Bob")
SPACE = "telegram:1:-100"
MODELS = Catalog([Provider("p", "http://127.0.0.1:9/v1")], [Model(name, "p", name) for name in ("one", "x" * 60)])
Change = Callable[[SpaceSettings], SpaceSettings]
FILE = (Attachment(AttachmentKind.DOCUMENT, "ref", "settings.toml"),)


class Place:
    """A group, and who may configure there."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.admins = {ADA.id}
        self.community = Community.of(Settings(), store)
        self.menu = SpaceMenu(self.community, MODELS, self.may)

    async def may(self, asked: Asker, right: Right) -> bool:
        return right is Right.CONFIGURE and asked.author.id in self.admins

    async def admin(self, text: str, by: Author = ADA, *, fetched: bytes = b"", **values: Any) -> list[Part]:
        name, rest = meant("admin", text)
        return await self.asked(called(name, by, options={"text": rest} if rest else {}, **values), fetched)

    async def asked(self, asked: CommandCall, fetched: bytes = b"") -> list[Part]:
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        async with engine(self.store, mailbox, may=self.may, models=MODELS, fetched=fetched) as answering:
            return [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))][:-1]

    async def press(self, data: str, by: Author = ADA) -> Turned:
        name, options = command_of(data)
        return await self.menu.decide(called(name, by, options=options))

    async def settings(self) -> SpaceSettings:
        return (await self.community.spaces.records.fresh(SPACE)).value

    async def seen(self) -> int:
        return (await self.community.spaces.records.fresh(SPACE)).version


def called(name: str, by: Author, **values: Any) -> CommandCall:
    return call(name, conversation=conversation("-100"), space="-100", private=False, author=by, **values)


def said(parts: Sequence[Part]) -> str:
    shown = (part.text if isinstance(part, TextDelta) else "" for part in parts)
    notices = (say(part.key, **part.values) for part in parts if isinstance(part, Notice))
    return "\n".join((*filter(None, shown), *notices))


def commands(turned: Turned) -> list[str]:
    assert turned.page is not None
    return [button.command for button in turned.page[1]]


@pytest.fixture
def place(store: Store) -> Place:
    return Place(store)


async def test_a_setting_is_kept_and_logged_with_who_set_it(place: Place) -> None:
    assert "Quiet hours: 22:00-07:00" in said(await place.admin("set quiet 22-7"))
    assert (await place.settings()).quiet == "22:00-07:00"
    await place.admin("set space_day_money 2.50")
    log = said(await place.admin("log"))
    assert "**Ada**" in log
    assert "as set up → 22:00-07:00" in log
    assert "→ $2.50" in log


async def test_a_wrong_value_or_name_changes_nothing(place: Place) -> None:
    assert "10 000" not in said(await place.admin("set keep_days 10000"))
    assert "whole number from 1 to 3,650" in said(await place.admin("set keep_days -1"))
    assert "There is no setting" in said(await place.admin("set roles admin"))
    assert await place.settings() == SpaceSettings()


@pytest.mark.parametrize("text", ["set", "set keep_days 5", "undo", "log", "export", "import"])
async def test_only_who_may_configure(place: Place, text: str) -> None:
    (part,) = await place.admin(text, BOB)
    assert part == Notice("lacking.configure")
    assert await place.settings() == SpaceSettings()


async def test_the_last_change_is_taken_back_by_a_command(place: Place) -> None:
    assert said(await place.admin("undo")) == say("space_undo_none")
    await place.admin("set keep_days 5")
    assert "Days kept" in said(await place.admin("undo"))
    assert await place.settings() == SpaceSettings()
    await change_space(
        place.community,
        SPACE,
        Actor("telegram:7", "Ada"),
        lambda s: s.model_copy(update={"roles": {"a": "admin"}}),
        undoable=False,
    )
    assert said(await place.admin("undo")) == say("space_undo_none")
    assert (await place.settings()).roles == {"a": "admin"}


async def test_the_menu_leads_to_every_field_and_all_it_offers_can_be_set(place: Place) -> None:
    text, menu = await place.admin("set")
    assert isinstance(text, TextDelta)
    assert isinstance(menu, Menu)
    begin = f".space {await place.seen()}"
    assert {f"{begin} @{group}" for group in GROUPS} <= {button.command for button in laid_out(menu.rows)}
    for group in GROUPS:
        listed = commands(await place.press(f"{begin} @{group}"))
        assert [f"{begin} {field.name}" for field in FIELDS if field.group == group] == listed[:-1]
    for field in FIELDS:
        if field.kind in (Kind.WORDS, Kind.TEXT):
            # Typed alone: nobody can guess what a community wants to ask, or which words it does not want.
            continue
        first = commands(await place.press(f".space {await place.seen()} {field.name}"))[0]
        assert len(first.encode()) <= 64
        turned = await place.press(first)
        assert turned.word == say("settings_set"), field.name
        assert await place.settings() != SpaceSettings(), field.name
        assert (await place.press(f".space {await place.seen()} {field.name}=auto")).word == say("settings_set")
    assert await place.settings() == SpaceSettings()


async def test_a_long_models_name_is_pressed_and_lists_are_toggled(place: Place) -> None:
    async def toggle(at: int) -> tuple[str, ...]:
        listed = commands(await place.press(f".space {await place.seen()} models"))
        await place.press(listed[at])
        return (await place.settings()).models

    assert await toggle(1) == ("x" * 60,)
    assert await toggle(0) == ("x" * 60, "one")
    assert await toggle(1) == ("one",)
    assert await toggle(0) == ()


async def test_each_tool_is_switched_off_and_on_by_a_press(place: Place) -> None:
    def ticked(turned: Turned) -> list[str]:
        assert turned.page is not None
        return [button.label for button in turned.page[1] if button.label.startswith("✓")]

    async def press(end: str) -> Turned:
        return await place.press(f".space {await place.seen()} tools{end}")

    every = ["✓ calculator", "✓ clock", "✓ drawing", "✓ document search"]
    assert ticked(await press("")) == [*every, f"✓ {say('setting_usual')}"]
    assert ticked(await press("~draw")) == [every[0], every[1], every[3]]
    assert (await place.settings()).tools == ("calculator", "time", "search_documents")
    # All of them is as set up again: one that the owner adds later is among them.
    assert ticked(await press("~draw")) == [*every, f"✓ {say('setting_usual')}"]
    assert (await place.settings()).tools == ()
    for name in ("calculator", "time", "draw", "search_documents"):
        turned = await press(f"~{name}")
    assert ticked(turned) == [f"✓ {say('setting_off')}"]
    assert (await place.settings()).tools == ("off",)
    assert ticked(await press("~time")) == [every[1]]
    assert ticked(await press("=off")) == [f"✓ {say('setting_off')}"]
    # A press of an older page on what is not there any more changes nothing.
    assert "shell" in (await press("~shell")).word
    assert (await place.settings()).tools == ("off",)


async def test_of_two_administrators_at_once_the_second_sees_a_conflict(place: Place) -> None:
    place.admins.add(BOB.id)
    seen = await place.seen()
    assert (await place.press(f".space {seen} keep_days=7")).word == say("settings_set")
    turned = await place.press(f".space {seen} keep_days=30", BOB)
    assert turned.word == say("conflict")
    assert not turned.evident
    # The page is the newest, so the second look can be acted on.
    assert (await place.settings()).keep_days == 7
    assert (await place.press(commands(turned)[0], BOB)).word == say("settings_set")
    assert [entry.name for entry in await history(place.community, SPACE)] == ["Bob", "Ada"]


@pytest.mark.parametrize(("text", "key"), [("keep_days 7", "conflict"), ("quiet 22-7", "space_set")])
async def test_of_two_who_type_at_once_the_second_sees_a_conflict(
    place: Place, monkeypatch: pytest.MonkeyPatch, text: str, key: str
) -> None:
    async def beaten(community: Community, id: str, actor: Actor, change: Change) -> Kept[SpaceSettings]:
        """Bob's comes between the look at the settings and the change."""
        await change_space(community, id, Actor("telegram:8", "Bob"), lambda s: s.model_copy(update={"keep_days": 30}))
        return await change_space(community, id, actor, change)

    monkeypatch.setattr("core.commands.spaces.change_space", beaten)
    (part,) = await place.admin(f"set {text}")
    assert isinstance(part, Notice)
    assert part.key == key
    assert (await place.settings()).keep_days == 30


async def test_a_form_belongs_to_the_version_that_its_page_showed(place: Place) -> None:
    forms = SpaceMenu(place.community, MODELS, place.may, forms=True)
    seen = await place.seen()
    asked = (await forms.decide(called(".space", ADA, options={"text": f"{seen} keep_days?"}))).form
    assert asked is not None
    await place.press(f".space {seen} keep_days=7")
    late = replace(asked, options={**asked.options, "value": "30"})
    assert said(await place.asked(late)) == say("conflict")
    assert (await place.settings()).keep_days == 7
    # Begun anew after a crash, what was done is told as done.
    again = replace(asked, options={**asked.options, "value": "7"})
    assert "Days kept: 7" in said(await place.asked(again))


async def test_the_right_is_asked_again_with_every_press(place: Place) -> None:
    begin = f".space {await place.seen()}"
    for data in (f"{begin} keep_days=7", f"{begin} !undo", f"{begin} !import x", f"{begin} !log", begin):
        turned = await place.press(data, BOB)
        assert (turned.word, turned.page) == (say("lacking.configure"), None)
    await place.community.people.change(f"telegram:{ADA.id}", lambda p: p.model_copy(update={"blocked": "spam"}))
    assert (await place.press(f"{begin} keep_days=7")).word == say("lacking.configure")
    await place.community.people.change(f"telegram:{ADA.id}", lambda p: p.model_copy(update={"blocked": ""}))
    assert await place.settings() == SpaceSettings()

    async def unknown(asked: Asker, right: Right) -> bool:
        raise RightsUnknownError("away")

    away = SpaceMenu(place.community, MODELS, unknown)
    asked = called(".space", ADA, options={"text": "0 keep_days=7"})
    assert (await away.decide(asked)).word == say("rights_unknown")


@pytest.mark.parametrize("data", ["", "x", "0 colour=red", "0 @strange", "0 !strange", "0 keep_days!5", "9" * 20])
async def test_a_button_of_another_version_says_so(place: Place, data: str) -> None:
    turned = await place.press(f".space {data}")
    assert turned.word == say("toast.old")
    assert await place.settings() == SpaceSettings()


async def test_a_value_that_is_no_more_possible_is_told(place: Place) -> None:
    turned = await place.press(f".space {await place.seen()} model=gone")
    assert turned.word.startswith("“gone” cannot be used")
    assert await place.settings() == SpaceSettings()


async def test_the_log_and_undo_are_in_the_menu(place: Place) -> None:
    await place.press(f".space {await place.seen()} keep_days=7")
    shown = (await place.press(f".space {await place.seen()} !log")).page
    assert shown is not None
    assert "**Ada**" in shown[0]
    assert (await place.press(f".space {await place.seen()} !undo")).word == say("space_undone_short")
    assert await place.settings() == SpaceSettings()


async def test_names_of_people_are_shown_as_text(place: Place) -> None:
    await place.admin("set keep_days 7", Author(ADA.id, "**x**\n\u202e@every\u200bone <b>"))
    assert r"**\*\*x\*\* @everyone \<b\>**" in said(await place.admin("log"))


async def test_the_log_tells_roles_and_rights_as_well(place: Place) -> None:
    grant = Grant(right="draw", allowed=False, who="person:telegram:8")
    changed = {"roles": {"telegram:8": "moderator"}, "grants": (grant,)}
    actor = Actor("telegram:7", "Ada")
    await change_space(place.community, SPACE, actor, lambda s: s.model_copy(update=changed), undoable=False)
    log = said(await place.admin("log"))
    assert "Role telegram:8: as set up → moderator" in log
    assert "Rights: as set up → draw False person:telegram:8" in log


async def test_an_exported_file_is_compared_and_applied_with_a_button(place: Place) -> None:
    await place.admin("set keep_days 7")
    notice, file = await place.admin("export")
    assert notice == Notice("space_exported")
    assert isinstance(file, Media)
    assert await place.admin("import", attachments=FILE, fetched=file.data) == [Notice("import_same")]
    changed = file.data.replace(b"keep_days = 7", b"keep_days = 30").replace(b'quiet = "auto"', b'quiet = "22-7"')
    text, menu = await place.admin("import", attachments=FILE, fetched=changed)
    assert isinstance(text, TextDelta)
    assert isinstance(menu, Menu)
    assert "Days kept: 7 → 30" in text.text
    assert "Quiet hours: as set up → 22:00-07:00" in text.text
    assert (await place.settings()).keep_days == 7
    apply = menu.rows[0][0].command
    assert (await place.press(apply)).word == say("settings_set")
    settings = await place.settings()
    assert (settings.keep_days, settings.quiet) == (30, "22:00-07:00")
    # Pressed again the page is an old one.
    assert (await place.press(apply)).word == say("conflict")


async def test_an_import_meets_a_change_that_came_between(place: Place) -> None:
    data = b"format = 1\n[settings]\nkeep_days = 30\n"
    _, menu = await place.admin("import", attachments=FILE, fetched=data)
    assert isinstance(menu, Menu)
    await place.admin("set quiet 22-7")
    assert (await place.press(menu.rows[0][0].command)).word == say("conflict")
    assert (await place.settings()).keep_days is None
    assert (await place.press(f".space {await place.seen()} !import forged")).word == say("import_late")


async def test_an_import_of_another_space_is_not_applied_here(place: Place) -> None:
    data = b"format = 1\n[settings]\nkeep_days = 30\n"
    _, menu = await place.admin("import", attachments=FILE, fetched=data)
    assert isinstance(menu, Menu)
    id = menu.rows[0][0].command.rpartition(" ")[2]
    name, options = command_of(f".space 0 !import {id}")
    elsewhere = call(name, conversation=conversation("-200"), space="-200", private=False, author=ADA, options=options)
    assert (await place.menu.decide(elsewhere)).word == say("import_late")


@pytest.mark.parametrize(
    ("data", "key"), [(b"", "import_foreign"), (b"format = 9\n", "import_newer"), (b"[[[", "import_broken")]
)
async def test_a_bad_file_changes_nothing(place: Place, data: bytes, key: str) -> None:
    (part,) = await place.admin("import", attachments=FILE, fetched=data)
    assert isinstance(part, Notice)
    assert part.key == key
    assert await place.settings() == SpaceSettings()


async def test_an_import_needs_a_file_of_a_bounded_size(place: Place) -> None:
    assert await place.admin("import") == [Notice("import_none")]
    large = (Attachment(AttachmentKind.DOCUMENT, "ref", size=10**9),)
    (part,) = await place.admin("import", attachments=large)
    assert isinstance(part, Notice)
    assert part.key == "import_large"


def test_every_kind_of_field_has_a_page() -> None:
    assert {field.kind for field in FIELDS} == set(Kind)
