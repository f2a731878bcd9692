"""Answers in the store, for what is pressed under them."""

from __future__ import annotations

from core.conversation.history import Answer, History, Mode, Question, count_tokens
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, ConversationKey
from core.parts import Ending
from core.storage.client import Store
from tests.builders import message


class Answers:
    """One conversation, as the engine and the worker leave it."""

    def __init__(self, store: Store, conversation: ConversationKey) -> None:
        self.conversation = conversation
        self.mailbox = Mailbox(store, "w", admission=Admission(10), keep_days=1)
        self.history = History(store, keep_days=1, max_messages=100)

    async def begin(self, shown_in: str, asker: str = "7") -> Turn:
        """A question whose answer grows in the message ``shown_in``."""
        asked = message("hello", conversation=self.conversation, author=Author(asker, "Ada"))
        await self.mailbox.post([asked])
        turn = await self.mailbox.take(self.conversation)
        assert turn is not None
        path = await self.history.path(
            turn, Mode.ASK, Question.of(asked), id=asked.id, reply_to=asked.reply_to, window=1000
        )
        assert path is not None
        turn.question = path.question
        await self.mailbox.created(turn, 0, shown_in)
        return turn

    async def end(self, turn: Turn, ending: Ending = Ending.COMPLETE, model: str = "one") -> None:
        answer = Answer("an answer", tuple(turn.pages.values()), ending, model)
        await self.mailbox.finish(turn, answer.to_payload(), count_tokens(answer.text))

    async def keep(self, shown_in: str, ending: Ending = Ending.COMPLETE, model: str = "one", asker: str = "7") -> None:
        """A question with its answer, which is shown in a message."""
        await self.end(await self.begin(shown_in, asker), ending, model)
