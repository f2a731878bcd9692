"""Conversations with a past, written the way Parley writes them."""

from __future__ import annotations

import time

from core.conversation.history import Answer, History, Mode, Question, count_tokens
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, ConversationKey, Message
from core.storage.client import Store

BATCH = 10
"""Below ``chat.max_waiting``."""


async def converse(url: str, conversation: ConversationKey, turns: int) -> None:
    """``turns`` questions with their answers, the newest last. No worker may run on this server meanwhile."""
    store = Store(url)
    mailbox = Mailbox(store, "seed", admission=Admission(2 * BATCH), keep_days=30)
    history = History(store, keep_days=30, max_messages=1_000_000)
    try:
        for start in range(0, turns, BATCH):
            numbers = range(start, min(start + BATCH, turns))
            await mailbox.post([_question(conversation, number) for number in numbers])
            turn = await mailbox.take(conversation)
            while turn is not None:
                turn = await answered(mailbox, history, turn)
    finally:
        await store.close()


async def answered(mailbox: Mailbox, history: History, turn: Turn, more: str = "") -> Turn | None:
    """Closes a turn with an answer, without model and platform; the next turn, if there is one."""
    asked = turn.incoming
    assert isinstance(asked, Message)  # nothing else was posted
    question = Question.of(asked)
    await history.path(turn, Mode.ASK, question, id=asked.id, reply_to="", window=1)
    turn.question = asked.id
    turn.pages[0] = f"a{asked.id}"
    answer = Answer(
        f"Of {asked.text} this much can be said: it is a good one.{more}", (turn.pages[0],), "complete", "stub"
    )
    return await mailbox.finish(turn, answer.to_payload(), count_tokens(answer.text))


def _question(conversation: ConversationKey, number: int) -> Message:
    return Message(
        conversation,
        f"past{number}",
        f"past{number}",
        Author(conversation.chat, "Ann"),
        f"question number {number} of this conversation",
        time.time(),
        private=True,
    )
