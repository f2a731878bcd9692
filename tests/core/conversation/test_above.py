"""What stands above a message that was replied to, with a real history and a platform that is asked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from core.conversation.above import with_above
from core.conversation.history import History, Mode, Question
from core.conversation.mailbox import Admission, Mailbox
from core.message import Message, Quote
from core.storage.client import Store
from tests.builders import conversation, message

SAID = (Quote("4", "Bob", "b", reply_to="3"), Quote("3", "", "a"))


class Platform:
    """Says what was said, and remembers what it was asked for."""

    def __init__(self, said: Sequence[Quote] = SAID) -> None:
        self.said = said
        self.asked: list[str] = []

    async def __call__(self, message: Message, id: str) -> Sequence[Quote]:
        self.asked.append(id)
        return self.said


@pytest.fixture
def history(store: Store) -> History:
    return History(store, keep_days=1, max_messages=100)


async def remember(store: Store, history: History, id: str) -> None:
    """A question with that id is in the history."""
    mailbox = Mailbox(store, "w", admission=Admission(10), keep_days=1)
    asked = message("known", id)
    await mailbox.post([asked])
    turn = await mailbox.take(conversation())
    assert turn is not None
    await history.path(turn, Mode.ASK, Question.of(asked), id=id, reply_to="", window=999)


def reply(quote: Quote | None) -> Message:
    return message("hi", "9", quote=quote, reply_to=quote.message_id if quote else "")


async def test_what_is_not_known_is_asked_for(history: History) -> None:
    platform = Platform()
    said = await with_above(reply(Quote("5", "Ann", "c", reply_to="4")), history, platform)
    assert said.quote is not None
    assert said.quote.text == "c\n[in reply to Bob:]\nb\n[in reply to someone:]\na"
    assert (platform.asked, said.quote.author, said.reply_to) == (["4"], "Ann", "5")


async def test_nothing_is_asked_for_that_the_history_has(store: Store, history: History) -> None:
    platform = Platform()
    await remember(store, history, "5")
    known = reply(Quote("5", "Ann", "c", reply_to="4"))
    assert await with_above(known, history, platform) == known
    below = await with_above(reply(Quote("6", "Ann", "d", reply_to="5")), history, platform)
    assert below.reply_to == "5", "it goes on from there"
    assert platform.asked == []


@pytest.mark.parametrize("quote", [None, Quote("5", "Ann", "c")])
async def test_the_plain_way_costs_nothing(store: Store, history: History, quote: Quote | None) -> None:
    platform, before = Platform(), store.calls
    plain, deep = reply(quote), reply(Quote("5", "Ann", "c", reply_to="4"))
    assert await with_above(plain, history, platform) == plain
    assert await with_above(deep, history, None) == deep
    assert (store.calls, platform.asked) == (before, [])


async def test_how_a_post_began_is_told_once(store: Store, history: History) -> None:
    platform = Platform([Quote("5", "Ann", "for White")])
    first = await with_above(reply(Quote("5", "", "[Post: Which?]", reply_to="5")), history, platform)
    assert first.quote is not None
    assert (first.quote.author, first.quote.text) == ("Ann", "[Post: Which?]\nfor White")
    platform.said = ()
    lost = await with_above(reply(Quote("5", "", "[Post: Which?]", reply_to="5")), history, platform)
    assert lost.quote == Quote("5", "", "[Post: Which?]", reply_to="5")
    await remember(store, history, "8")
    later = await with_above(reply(Quote("5", "", "[Post: Which?]", reply_to="5")), history, platform)
    assert later.quote is None
    assert platform.asked == ["5", "5"]
