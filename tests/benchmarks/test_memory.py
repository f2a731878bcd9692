"""The stand-ins without durability are what they stand in for: the same methods, the same context of an answer."""

from __future__ import annotations

import inspect
from typing import cast

import pytest

from benchmarks.memory import MemoryHistory, MemoryMailbox, Rooms
from benchmarks.seed import answered
from core.conversation.history import History, Mode, Path, Question
from core.conversation.mailbox import Admission, Mailbox
from core.message import Message
from core.storage.client import Store
from tests.builders import conversation, message


@pytest.mark.parametrize(("real", "stand_in"), [(Mailbox, MemoryMailbox), (History, MemoryHistory)])
def test_the_methods_that_an_answer_needs_are_the_same(real: type, stand_in: type) -> None:
    def methods(of: type) -> dict[str, inspect.Signature]:
        public = inspect.getmembers(of, inspect.isfunction)
        return {name: inspect.signature(function) for name, function in public if not name.startswith("_")}

    known = methods(real)
    assert methods(stand_in) == {name: known.get(name) for name in methods(stand_in)}


async def talk(mailbox: Mailbox, history: History) -> Path | None:
    """Three questions, the second one again, and what the model would be told for the last."""
    said = [message(text, id=str(number)) for number, text in enumerate(("one", "two", "three"), 1)]
    for incoming in said[:2]:
        await mailbox.post([incoming])
        turn = await mailbox.take(conversation())
        assert turn is not None
        assert await answered(mailbox, history, turn) is None
    await mailbox.post([said[1], said[2]])
    turn = await mailbox.take(conversation())
    assert turn is not None
    asked = cast("Message", turn.incoming)
    question = Question(asked.text, asked.author.name, 0)
    return await history.path(turn, Mode.ASK, question, id=asked.id, reply_to="", window=10_000)


async def test_the_context_of_an_answer_is_the_same(store: Store) -> None:
    rooms = Rooms()
    memory = await talk(cast("Mailbox", MemoryMailbox(rooms, Admission())), cast("History", MemoryHistory(rooms)))
    real = await talk(Mailbox(store, "w", Admission(), keep_days=1), History(store, keep_days=1, max_messages=100))
    assert memory is not None
    assert real is not None
    assert [(node.id, node.parent) for node in memory.nodes] == [(node.id, node.parent) for node in real.nodes]
    assert [node.said.text for node in memory.nodes] == [node.said.text for node in real.nodes]
    assert len(memory.nodes) == 5
