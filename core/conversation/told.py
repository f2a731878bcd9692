"""What a model is told of who answers and of who asks, and the room that this leaves for what is said."""

from __future__ import annotations

from collections.abc import Sequence

from core.conversation import prompt
from core.conversation.history import Answer, Question, count_tokens
from core.conversation.turn import Turn
from core.message import CommandCall, Message
from core.models.model import Model
from core.people.memory import recalled


def budget(turn: Turn, model: Model | None) -> int:
    """Tokens for the conversation: the window less the answer and the persona."""
    if model is None:
        return 2048
    answer = min(model.max_answer, model.window // 4)
    extra = count_tokens(instructions(turn, model)) + sum(map(count_tokens, facts(turn, model)))
    return max(256, model.window - answer - extra - 200)


def facts(turn: Turn, model: Model | None) -> Sequence[str]:
    """What the one who asks wants kept in mind."""
    incoming, window = turn.incoming, model.window if model else 4096
    # Where the bot is a guest, whoever is there reads along.
    is_guest = bool(incoming.conversation.inline) or (isinstance(incoming, CommandCall) and incoming.most_pages > 0)
    return recalled(turn.person, private=incoming.private and not is_guest, window=window)


def is_by(message: Message, said: Question | Answer) -> bool:
    """Whether who asks wrote the question: others may have its answer made anew, but not from their own memory."""
    return isinstance(said, Question) and said.asker == message.author.id


def instructions(turn: Turn, model: Model | None) -> str:
    """What the persona is told: of a small window it takes a quarter at most. What it says where a conversation begins
    is no message of the history."""
    said, opening = turn.persona.instructions, turn.persona.opens(turn.language)
    if opening and not (model is not None and model.small):
        said += f"\n\nWhen a conversation begins you say these words:\n{opening}"
    return prompt.shorten(said, (model.window if model else 4096) // 4)[0]
