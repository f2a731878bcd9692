"""What people think of an answer, said by a button or a command under it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from core.commands.row import Room
from core.message import CommandCall, Reaction, Verdict
from core.parts import Ending, Finished, Notice, Part

WORDS = {"up": Verdict.UP, "down": Verdict.DOWN, "none": Verdict.NONE}
DONE = Finished(Ending.COMPLETE)


async def feedback(room: Room) -> AsyncIterator[Part]:
    """``up``, ``down`` or ``none`` about the answer that the button stands under, or that is replied to."""
    reaction = reaction_of(room.call)
    if reaction is None:
        yield Notice("feedback_how")
    else:
        yield Notice("feedback_thanks" if await room.feedback.vote(reaction) else "feedback_unknown")
    yield DONE


def reaction_of(call: CommandCall) -> Reaction | None:
    """What a call of ``feedback`` says; None when it says nothing, or not about what."""
    verdict = WORDS.get(call.options.get("text", "").strip().lower())
    if verdict is None or not call.reply_to:
        return None
    return Reaction(call.conversation, call.reply_to, call.author.id, verdict, call.sent_at or time.time())
