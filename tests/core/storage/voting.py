"""Answers to vote for."""

from __future__ import annotations

from core.conversation.history import Answer, History, Mode, Question
from core.conversation.mailbox import Admission, Mailbox
from core.message import ConversationKey
from core.storage.client import Store
from tests.builders import call, conversation, message


async def answered(
    store: Store, model: str, *pages: str, chat: str = "100", key: ConversationKey | None = None, again: bool = False
) -> None:
    """A question and its answer by that model, or the answer made anew."""
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
    history = History(store, keep_days=1, max_messages=100)
    key = key or conversation(chat)
    asked = call("regenerate", conversation=key, reply_to=pages[0]) if again else message("why?", conversation=key)
    await mailbox.post([asked])
    turn = await mailbox.take(key)
    assert turn is not None
    mode, question = Mode.AGAIN if again else Mode.ASK, Question("why?", "Ada", 0)
    path = await history.path(turn, mode, question, id=asked.id, reply_to=asked.reply_to, window=1000)
    assert path is not None
    turn.question, turn.pages = path.question, dict(enumerate(pages))
    await mailbox.finish(turn, Answer("so", pages, "complete", model).to_payload(), 1)
