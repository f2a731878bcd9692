"""Whole spaces that the bot has left, and conversations that were deleted with all that was said in them."""

from __future__ import annotations

from typing import Any

from core.conversation.history import Answer, History, Mode, Question
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import ConversationKey, Message
from core.parts import Ending
from core.storage.client import Store
from core.storage.failed import DeadLetters, Failure, Kind
from core.storage.keys import ConversationKeys
from tests.builders import conversation, message


class Guild:
    """Channels with people in them, and the worker that answers."""

    def __init__(self, store: Store) -> None:
        self.mailbox = Mailbox(store, "w", admission=Admission(10), keep_days=30)
        self.history = History(store, keep_days=30, max_messages=1000)

    async def post(self, chat: str, space: str, id: str = "1") -> None:
        await self.mailbox.post([message("hi", id, conversation=conversation(chat), space=space, private=not space)])

    async def take(self, chat: str) -> Turn | None:
        return await self.mailbox.take(conversation(chat))

    async def ask(self, turn: Turn) -> None:
        asked = turn.incoming
        assert isinstance(asked, Message)
        path = await self.history.path(turn, Mode.ASK, Question.of(asked), id=asked.id, reply_to="", window=999)
        assert path is not None
        turn.question = path.question


async def test_a_space_that_is_left_takes_its_conversations_along_and_no_others(store: Store) -> None:
    guild = Guild(store)
    for chat, space in (("1", "50"), ("2", "50"), ("3", "51"), ("4", "")):
        await guild.post(chat, space)
    open_turn = await guild.take("1")
    assert open_turn is not None
    await guild.post("1", "50", "2")
    assert await guild.mailbox.leave(conversation("50"), chat=True, space="50") == 2
    await guild.mailbox.renew([open_turn])
    assert open_turn.reason == "left"
    assert await guild.take("2") is None
    assert await guild.take("3") is not None
    assert await guild.take("4") is not None


async def test_what_is_deleted_with_its_channel_leaves_no_trace(store: Store) -> None:
    guild = Guild(store)
    for chat in ("1", "2"):
        await guild.post(chat, "50")
        turn = await guild.take(chat)
        assert turn is not None
        await guild.ask(turn)
        turn.pages = {0: f"9{chat}"}
        answer = Answer("hello", (f"9{chat}",), Ending.COMPLETE)
        await guild.mailbox.finish(turn, answer.to_payload(), 1)
        await guild.post(chat, "50", "5")
    turn = await guild.take("1")
    assert turn is not None
    await guild.ask(turn)
    assert await guild.mailbox.leave(conversation("1"), chat=True, gone=True) == 0
    await guild.mailbox.renew([turn])
    assert turn.reason == "forgotten"
    turn.pages = {0: "95"}
    await guild.mailbox.finish(turn, Answer("late", ("95",), Ending.COMPLETE).to_payload(), 1)
    assert not await guild.history.has_begun(conversation("1"))
    assert await left(store, conversation("1")) == []
    assert await guild.history.has_begun(conversation("2"))


async def test_dead_letters_go_with_it(store: Store) -> None:
    guild = Guild(store)
    for chat in ("1", "2"):
        await guild.post(chat, "50")
        turn = await guild.take(chat)
        assert turn is not None
        await guild.ask(turn)
        failure = Failure(Kind.MODEL, ("timeout",))
        await guild.mailbox.finish(turn, Answer("", (), Ending.FAILED).to_payload(), 1, failure)
    letters = DeadLetters(store, keep_days=30)
    assert (await letters.newest(10))[0] == 2
    await guild.mailbox.leave(conversation("1"), chat=True, gone=True)
    _, kept = await letters.newest(10)
    assert [letter.conversation for letter in kept] == [str(conversation("2"))]


async def left(store: Store, key: ConversationKey) -> list[Any]:
    keys = ConversationKeys.of(key)
    return [name for name in (keys.tree, keys.order, keys.notices, keys.votes) if await store.redis.exists(name)]
