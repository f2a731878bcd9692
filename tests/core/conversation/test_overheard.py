"""What is said beside the bot: kept for a while, in bounds, and a part of the history with the next question."""

from __future__ import annotations

from typing import Any

import pytest

from core import clock
from core.conversation import overheard
from core.conversation.history import History, Mode, Path, Question
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.overheard import Overheard
from core.message import Author, Deletion, Message, Quote
from core.people.spaces import SpaceSettings
from core.storage.client import Store
from core.storage.keys import HEARD_SECONDS, ConversationKeys
from tests.builders import conversation, message

BOB = Author("8", "Bob")


def said(text: str, id: str, **values: Any) -> Message:
    return message(text, id, private=False, space="100", overheard=True, author=BOB, **values)


class Group:
    """A group in which people talk, and ask now and then."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
        self.history = History(store, keep_days=1, max_messages=100)
        self.overheard = Overheard(store)

    async def hear(self, *messages: Message) -> None:
        await self.overheard.keep(messages)

    async def ask(
        self, text: str, id: str, *, mode: Mode = Mode.ASK, reply_to: str = "", answer: str = "", passive: bool = True
    ) -> Path:
        asked = message(text, id, private=False, space="100", reply_to=reply_to)
        await self.mailbox.post([asked])
        turn = await self.mailbox.take(conversation())
        assert turn is not None
        turn.space = SpaceSettings(passive=passive)
        path = await self.history.path(turn, mode, Question.of(asked), id=id, reply_to=reply_to, window=10_000)
        assert path is not None
        turn.question = path.question
        if answer:
            turn.pages = {0: answer}
        await self.mailbox.finish(turn, '{"text":"ok"}' if answer else "", 1)
        return path

    async def heard(self) -> int:
        return await self.store.redis.llen(ConversationKeys.of(conversation()).heard)


@pytest.fixture
def group(store: Store) -> Group:
    return Group(store)


def texts(path: Path) -> list[str]:
    return [node.said.text for node in path.nodes]


async def test_what_was_said_stands_before_the_next_question_and_counts_once(group: Group) -> None:
    await group.hear(said("one", "1"), said("two", "2", quote=Quote("1", "Bob", "one", author_id="8")))
    assert await group.mailbox.take(conversation()) is None, "it is no turn"
    path = await group.ask("three?", "3", answer="4")
    assert texts(path) == ["one", "two", "three?"]
    first = path.nodes[0].said
    assert isinstance(first, Question)
    assert (first.author, first.asker) == ("Bob", "8")
    assert await group.heard() == 0
    await group.hear(said("five", "5"))
    assert texts(await group.ask("six?", "6")) == ["one", "two", "three?", "ok", "five", "six?"]


async def test_a_reply_to_what_was_said_branches_there(group: Group) -> None:
    await group.hear(said("one", "1"), said("two", "2"))
    assert texts(await group.ask("which one?", "3", reply_to="1")) == ["one", "which one?"]


async def test_what_was_heard_while_an_answer_was_made_comes_after_it(group: Group) -> None:
    asked = message("first?", "1", private=False, space="100")
    await group.mailbox.post([asked])
    turn = await group.mailbox.take(conversation())
    assert turn is not None
    path = await group.history.path(turn, Mode.ASK, Question.of(asked), id="1", reply_to="", window=1000)
    assert path is not None
    await group.hear(said("meanwhile", "2"))
    turn.question, turn.pages = path.question, {0: "3"}
    await group.mailbox.finish(turn, '{"text":"ok"}', 1)
    assert texts(await group.ask("second?", "4")) == ["first?", "ok", "meanwhile", "second?"]


async def test_it_is_heard_once_and_in_its_newest_form(group: Group) -> None:
    await group.hear(said("one", "1"), said("one", "1"))
    await group.hear(said("uno", "1", edited=True), said("never heard", "9", edited=True))
    assert texts(await group.ask("two?", "2")) == ["uno", "two?"]
    await group.hear(said("eins", "1", edited=True), said("one", "1"))
    assert texts(await group.ask("three?", "3")) == ["eins", "two?", "three?"]


async def test_what_was_deleted_is_heard_no_more(group: Group) -> None:
    await group.hear(said("one", "1"), said("about one", "2", quote=Quote("1", "Bob", "one")), said("three", "3"))
    assert await group.mailbox.forget(Deletion(conversation(), ("1",), "d1")) == 1
    assert texts(await group.ask("four?", "4")) == ["three", "four?"]
    await group.mailbox.forget(Deletion(conversation(), ("3",), "d2"))
    assert texts(await group.ask("five?", "5")) == ["four?", "five?"]


async def test_it_is_bounded_in_length_number_and_rate(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "seconds", lambda: 1000.0)
    await group.hear(*(said(f"{number} {'x' * 2000}", str(number)) for number in range(1, 151)))
    assert await group.heard() == overheard.MOST
    assert 0 < await group.store.redis.ttl(ConversationKeys.of(conversation()).heard) <= HEARD_SECONDS
    await group.hear(*(said("more", str(number), chat="200") for number in range(1000, 1200)))
    other = ConversationKeys.of(conversation("200")).heard
    assert await group.store.redis.llen(other) == overheard.MOST, "fifty of two hundred had room, and are kept"
    await group.hear(said("too much", "2000"))
    path = await group.ask("what?", "3000")
    assert len(path.nodes) <= overheard.MOST + 1
    assert {len(node.said.text) for node in path.nodes[:-1]} == {1000}
    assert "too much" not in texts(path)


async def test_what_was_heard_before_it_was_switched_off_is_dropped(group: Group) -> None:
    await group.hear(said("one", "1"))
    assert texts(await group.ask("two?", "2", passive=False)) == ["two?"]
    assert await group.heard() == 0


async def test_a_new_conversation_begins_without_it(group: Group) -> None:
    await group.hear(said("one", "1"))
    await group.history.start_afresh(conversation())
    assert texts(await group.ask("two?", "2")) == ["two?"]


async def test_files_and_messages_without_words_are_let_go(group: Group) -> None:
    await group.hear(said("", "1"))
    assert await group.heard() == 0


async def test_a_question_stays_as_it_was_answered(group: Group) -> None:
    """An edit that turns away from the bot is no new question, and has none of its files."""
    await group.ask("one?", "1", answer="2")
    await group.hear(said("one", "1", edited=True))
    assert texts(await group.ask("three?", "3")) == ["one?", "ok", "three?"]


async def test_what_becomes_a_question_by_an_edit_is_asked_once(group: Group) -> None:
    await group.hear(said("one", "1"), said("two", "2"), said("three", "3"))
    assert texts(await group.ask("@bot two?", "2")) == ["one", "three", "@bot two?"]
    assert texts(await group.ask("four?", "4")) == ["one", "three", "@bot two?", "four?"]


async def test_a_reply_to_the_last_answer_knows_what_was_said_since(group: Group) -> None:
    await group.ask("one?", "1", answer="2")
    await group.hear(said("three", "3"))
    assert texts(await group.ask("four?", "4", reply_to="2")) == ["one?", "ok", "three", "four?"]
    await group.hear(said("five", "5"))
    assert texts(await group.ask("six?", "6", reply_to="2")) == ["one?", "ok", "six?"], "an older one branches"
