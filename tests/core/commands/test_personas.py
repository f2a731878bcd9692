"""The commands about personas, as the engine carries them out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from bots.pressing import Instead
from core.commands import choosing
from core.commands.choosing import Offer
from core.commands.suggesting import Suggestions
from core.conversation.history import History
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.engine import MAX_TAKEOVERS, Engine
from core.errors import StorageError
from core.message import Attachment, AttachmentKind, Author, Platform
from core.models.catalog import Catalog
from core.parts import Media, Menu, Notice, Part, TextDelta
from core.people.community import Community
from core.settings import Settings
from core.storage import keys
from core.storage.client import Store
from core.texts import say
from tests.bots.test_pressing import Place, commands
from tests.builders import call, conversation
from tests.core.engines import engine

BOB = Author("8", "Bob")


class Chat:
    """What people do by commands, in a private chat or in a group whose owner is account 7."""

    def __init__(self, store: Store, made: Engine) -> None:
        self.store = store
        self.engine = made

    async def do(self, name: str, text: str = "", *, group: bool = False, **values: Any) -> list[Part]:
        place = {"chat": "-5", "private": False, "space": "-5"} if group else {}
        asked = call(name, options={"text": text} if text else {}, **place, **values)
        chosen = await History(self.store, keep_days=1, max_messages=9).preferences(asked.conversation)
        turn = Turn(asked.conversation, "1", "1", asked, preferences=chosen)
        return [part async for part in self.engine.respond(turn)][:-1]

    async def said(self, name: str, text: str = "", **values: Any) -> str:
        """The words and the keys of the sentences, in one line."""
        parts = await self.do(name, text, **values)
        return " ".join(p.text if isinstance(p, TextDelta) else p.key if isinstance(p, Notice) else "" for p in parts)

    @property
    def community(self) -> Community:
        """As another process knows it."""
        return Community.of(Settings(), self.store)


@pytest.fixture
async def chat(store: Store) -> AsyncIterator[Chat]:
    async with AsyncExitStack() as stack:
        mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
        made = await stack.enter_async_context(engine(store, mailbox, owners=["telegram:7"]))
        yield Chat(store, made)


async def test_one_is_made_chosen_edited_and_deleted(chat: Chat) -> None:
    assert await chat.said("persona new", '"Captain Jack" You are a pirate.') == "persona_kept"
    assert await chat.said("persona edit", '"captain jack" opening Ahoy, *matey*!') == "persona_kept"
    assert await chat.said("persona edit", '"captain jack" temperature 0.9') == "persona_kept"
    assert await chat.said("persona choose", "captain jack") == "Ahoy, *matey*! persona_set"
    assert (await chat.community.people.of("telegram:7")).persona == "Captain Jack", "it follows the person"
    assert await chat.said("new") == "Ahoy, *matey*! new"
    shown = await chat.said("persona show")
    assert "> You are a pirate." in shown
    assert "`temperature`: `0.9`" in shown
    assert await chat.said("persona delete", "Captain Jack") == "persona_gone"
    assert await chat.said("new") == "new"
    assert await chat.said("persona choose", "auto") == "persona_set"
    assert (await chat.community.people.of("telegram:7")).persona == ""


async def test_without_a_name_there_is_a_button_for_each(chat: Chat) -> None:
    text, menu = await chat.do("persona")
    assert isinstance(text, TextDelta)
    assert isinstance(menu, Menu)
    commands = [choice.command for row in menu.rows for choice in row]
    assert commands[:2] == ["persona choose name=assistant", "persona choose name=coder"]
    assert len(commands) == 7
    pressed = call("persona choose", options={"name": "coder"})
    parts = [p async for p in chat.engine.respond(Turn(pressed.conversation, "1", "1", pressed))]
    assert isinstance(parts[0], TextDelta)
    assert (await chat.community.people.of("telegram:7")).persona == "coder"


async def test_what_is_wrong_is_said_and_changes_nothing(chat: Chat) -> None:
    assert await chat.said("persona new", "Admin You are the boss.") == "persona_name_reserved"
    assert await chat.said("persona new", "Jack") == "persona_no_instructions"
    assert await chat.said("persona new", "Jack You are Jack.") == "persona_kept"
    assert await chat.said("persona new", "JACK Another.") == "persona_taken"
    assert await chat.said("persona edit", "Jack temperature 9") == "persona_bounds"
    assert await chat.said("persona edit", "Jack rights all") == "persona_no_value"
    assert await chat.said("persona edit", "Jack model none-such") == "model_unknown"
    assert await chat.said("persona edit", "Nobody opening Hi") == "persona_unknown"
    assert await chat.said("persona choose", "@everyone\n**x**") == "persona_unknown"
    assert await chat.said("persona import") == "persona_file_how"
    shelf = (await chat.community.personas.records.get("telegram:7")).value
    assert [(p.name, p.instructions, p.opening) for p in shelf.personas] == [("Jack", "You are Jack.", "")]


async def test_in_a_group_administrators_share_and_choose_for_all(chat: Chat) -> None:
    await chat.said("persona new", "Jack You are Jack.")
    assert await chat.said("persona share", "Jack", group=True, author=BOB) != "persona_kept"
    assert await chat.said("persona share", "Jack", group=True) == "persona_kept"
    assert await chat.said("persona delete", "Jack") == "persona_gone", "the copy is the space's"
    assert "Jack" in await chat.said("persona", group=True, author=BOB)
    assert await chat.said("persona choose", "Jack", group=True) == "persona_set"
    assert "You are Jack." in await chat.said("persona show", group=True, author=BOB)
    assert "You are Jack." not in await chat.said("persona show", author=BOB), "it is the group's alone"


async def test_a_file_brings_it_elsewhere(chat: Chat) -> None:
    await chat.said("persona new", "Jack You are Jack.")
    (media,) = await chat.do("persona export", "Jack")
    assert isinstance(media, Media)
    assert (media.name, b"You are Jack." in media.data) == ("jack.toml", True)
    attached = Attachment(AttachmentKind.DOCUMENT, "ref", "jack.toml")
    key = conversation("9", Platform.TELEGRAM)
    asked = replace(call("persona import", author=Author("9", "Eve"), attachments=(attached,)), conversation=key)
    parts = [p async for p in chat.engine.respond(Turn(key, "1", "1", asked))]
    # The engine of the tests fetches an empty file.
    assert isinstance(parts[0], Notice)
    assert parts[0].key == "persona_name_empty"


async def test_the_settings_page_has_them_too(store: Store) -> None:
    place = Place(store)
    page = await place.press(".set persona", private=True)
    assert {".set persona=assistant", ".set persona=tutor"} <= {*commands(page)}
    pressed = await place.press(".set persona=tutor", private=True)
    assert isinstance(pressed.show, Instead)
    assert "**Tutor**" in pressed.show.text
    assert (await place.community.people.of("telegram:7")).persona == "tutor"
    assert (await place.press(".set persona=nobody", private=True)).word == say("toast.old")
    assert (await place.press(".set persona=tutor")).word == say("admins_only")


def test_a_name_that_no_button_can_hold_is_told_by_a_digest() -> None:
    long = "长" * 32
    offer = Offer((), "", None, speaks=False, personas=(("assistant", "Assistant"), (long, long)))
    (_, choice), *_ = choosing.list_personas(offer, "", "persona choose name=", "")
    assert len(choice.command.encode()) <= 64
    assert choosing.find_persona(offer.personas, choice.command.rpartition("=")[2]) == long


def test_those_that_come_with_parley_are_suggested() -> None:
    suggestions = Suggestions(Catalog([], []))
    found = suggestions.suggest("persona choose", "name", {"name": "家"}, "zh-CN")
    assert [(one.label, one.value) for one in found] == [("家教", "tutor")]


async def test_records_that_cannot_be_read_end_in_a_notice_and_not_in_a_circle(chat: Chat) -> None:
    await chat.said("persona new", "Jack You are Jack.")
    await chat.said("persona choose", "Jack")
    await chat.store.redis.hset(keys.record("personas", "telegram:7"), "json", "{")
    asked = call("new")

    async def answered(takeovers: int) -> list[Part]:
        async with AsyncExitStack() as stack:
            mailbox = Mailbox(chat.store, "w", admission=Admission(), keep_days=1)
            anew = await stack.enter_async_context(engine(chat.store, mailbox))
            turn = Turn(asked.conversation, "1", "1", asked, takeovers=takeovers)
            return [part async for part in anew.respond(turn)]

    with pytest.raises(StorageError):
        await answered(MAX_TAKEOVERS)
    assert (await answered(MAX_TAKEOVERS + 1))[0] == Notice("crashed")
