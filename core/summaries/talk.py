"""What was said in a conversation, as a text to be summarized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.conversation.history import Answer, History, Question
from core.message import ConversationKey
from core.texts import plain_line

MOST_LINES = 1000
"""Of one conversation, the newest."""
LONGEST_LINE = 2000
BOT = "Assistant"


@dataclass(frozen=True, slots=True)
class Line:
    """One message."""

    at: int
    """Unix seconds; of an answer, when it was asked for."""
    author: str
    author_id: str
    """Empty for the bot."""
    text: str


async def lines_of(history: History, conversation: ConversationKey, but: str = "") -> list[Line]:
    """What is kept of a conversation, oldest first: what was said to the bot, what it answered, what it read along.
    ``but`` is the id of a message that is left out. Raises StorageError."""
    nodes = {node.id: node async for node in history.all(conversation) if node.id != but}
    found: list[tuple[int, int, Line]] = []
    for node in nodes.values():
        said = node.said
        if isinstance(said, Question) and said.text:
            found.append((said.at, 0, Line(said.at, said.author, said.asker, said.text)))
        elif isinstance(said, Answer) and said.text and (asked := nodes.get(node.parent)):
            at = asked.said.at if isinstance(asked.said, Question) else 0
            found.append((at, 1, Line(at, BOT, "", said.text)))
    found.sort(key=lambda one: one[:2])
    return [line for _, _, line in found[-MOST_LINES:]]


def since(lines: Sequence[Line], person: str) -> list[Line]:
    """What came after somebody's last message; all of it where there is none. ``person`` is an account's id."""
    last = max((at for at, line in enumerate(lines) if line.author_id == person), default=-1)
    return list(lines[last + 1 :])


def as_text(lines: Sequence[Line]) -> str:
    """Names in one line each, so that none can look like somebody else's message."""
    return "\n\n".join(f"{plain_line(line.author, 60) or 'Somebody'}: {line.text[:LONGEST_LINE]}" for line in lines)
