"""Feedback by a button, and what owners are told of it."""

from __future__ import annotations

from typing import Any

import pytest

from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, CommandCall
from core.parts import Notice, Part, TextDelta
from core.storage.client import Store
from tests.builders import call
from tests.core.engines import engine
from tests.core.storage.voting import answered

OWNER = Author("1", "Grace")


async def answer(store: Store, asked: CommandCall) -> Part:
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
    async with engine(store, mailbox, owners=("telegram:1",)) as answering:
        part, _ = [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))]
    return part


async def said(store: Store, text: str, **values: Any) -> str:
    part = await answer(store, call("feedback", options={"text": text}, **values))
    assert isinstance(part, Notice)
    return part.key


async def scores(store: Store) -> Part:
    return await answer(store, call("admin feedback", author=OWNER))


async def test_a_button_votes_and_owners_see_it(store: Store) -> None:
    await answered(store, "good", "a1")
    assert await scores(store) == Notice("feedback_none")
    assert await said(store, "up", reply_to="a1") == "feedback_thanks"
    assert await said(store, "DOWN", reply_to="a1", author=Author("8", "Bob")) == "feedback_thanks"
    told = await scores(store)
    assert isinstance(told, TextDelta)
    assert told.text.endswith("\n\n- good: 1 👍, 1 👎")
    assert await said(store, "none", reply_to="a1") == "feedback_thanks"
    told = await scores(store)
    assert isinstance(told, TextDelta)
    assert told.text.endswith("\n\n- good: 0 👍, 1 👎")


@pytest.mark.parametrize(
    ("text", "reply_to", "key"),
    [("up", "", "feedback_how"), ("so so", "a1", "feedback_how"), ("up", "77", "feedback_unknown")],
)
async def test_what_is_no_vote_is_told(store: Store, text: str, reply_to: str, key: str) -> None:
    await answered(store, "good", "a1")
    assert await said(store, text, reply_to=reply_to) == key
    assert await scores(store) == Notice("feedback_none")


async def test_others_are_not_told(store: Store) -> None:
    assert await answer(store, call("admin feedback")) == Notice("owner_only", {"name": "admin feedback"})
