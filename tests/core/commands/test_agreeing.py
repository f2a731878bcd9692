"""/privacy training: who agrees to be learned from, and takes it back."""

from __future__ import annotations

from typing import Any

import pytest

from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import CommandCall
from core.models.catalog import Catalog
from core.parts import Menu, Notice, Part, TextDelta
from core.people.identity import People, account_of
from core.settings import Settings
from core.storage.client import Store
from core.texts import say
from tests.builders import call
from tests.core.engines import engine


async def answer(store: Store, **options: Any) -> list[Part]:
    asked: CommandCall = call("privacy", options=options)
    settings = Settings()
    mailbox = Mailbox(store, "w", Admission(), keep_days=30)
    async with engine(store, mailbox, models=Catalog.of(settings), settings=settings) as answering:
        answering_person = await People(store).of(account_of(asked.author, asked.conversation.platform))
        turn = Turn(asked.conversation, "1", "1", asked)
        turn.person = answering_person
        return [part async for part in answering.respond(turn)]


async def agrees(store: Store) -> bool:
    asked = call("privacy")
    return (await People(store).of(account_of(asked.author, asked.conversation.platform))).may_teach


async def test_agreeing_and_taking_it_back(store: Store) -> None:
    text, menu, *_ = await answer(store, action="training")
    assert text == TextDelta(say("privacy_training_off"))
    assert isinstance(menu, Menu)
    assert menu.rows[0][0].command == "privacy training on"
    assert not await agrees(store)
    assert (await answer(store, action="training", code="ON"))[0] == TextDelta(say("privacy_training_on"))
    assert await agrees(store)
    assert (await answer(store, action="training"))[0] == TextDelta(say("privacy_training_on"))
    await answer(store, action="training", code="off")
    assert not await agrees(store)


@pytest.mark.parametrize("code", ["yes", "on off", "\u202eno"])
async def test_anything_else_changes_nothing(store: Store, code: str) -> None:
    assert (await answer(store, action="training", code=code))[0] == Notice("privacy_training_how")
    assert not await agrees(store)
