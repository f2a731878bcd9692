"""Of several answers side by side one is picked, and goes on as the conversation's."""

from __future__ import annotations

from core.candidates import picked
from core.commands.row import Command
from core.conversation.history import History
from core.message import CommandCall


async def picked_by(row: Command, call: CommandCall, history: History) -> str:
    """The answer that a call picks, of those in the message that its button stands under, else of the newest answer;
    empty where there is none. Raises StorageError."""
    number = row.value(call, "number")
    if not (number.isascii() and number.isdecimal() and len(number) == 1):
        return ""
    known = await history.known(call.conversation, call.reply_to, call.name)
    return picked(known.answer.text, int(number)) if known.answer else ""
