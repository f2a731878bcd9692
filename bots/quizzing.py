"""Questions of a quiz as polls; in words where a platform has none, and what was right where it does not tell that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from bots.adapter import Capabilities, Page
from bots.showing import Showing
from core.conversation.turn import Turn
from core.errors import OutboundError, OutboundFault
from core.parts import Poll
from core.texts import one_line, say

log = structlog.get_logger()

NO_POLLS = frozenset((OutboundFault.NO_FILES, OutboundFault.REFUSED, OutboundFault.FORBIDDEN, OutboundFault.FORM))
"""Faults of a poll where words may still be taken."""
LONGEST = 300
LETTERS = "ABCDEFGHIJ"


async def ask(
    showing: Showing,
    polls: Sequence[Poll],
    number: int,
    able: Capabilities,
    turn: Turn,
    page_of: Callable[[str], Page],
) -> None:
    """Each question as a message of its own, from that number on, then what was right, where it is not told to who
    votes. Raises OutboundError, LeaseLost, StorageError."""
    are_taken = able.polls
    for at, poll in enumerate(polls, number):
        try:
            if are_taken:
                await showing.ask(at, poll)
                continue
        except OutboundError as error:
            if error.fault not in NO_POLLS:
                raise
            log.info("a poll was not taken", turn=turn.id, cause=error.detail)
            are_taken = False
        await showing.put(at, page_of(in_words(poll)))
    if polls and not (are_taken and able.quizzes):
        said = solutions(polls, turn.language, hidden=able.spoilers)
        await showing.put(number + len(polls), page_of(said))


def in_words(poll: Poll) -> str:
    """A question with its options, as Markdown."""
    lines = [f"- {LETTERS[at]}: {one_line(option, LONGEST)}" for at, option in enumerate(poll.options)]
    return "\n".join((f"**{one_line(poll.question, LONGEST)}**", *lines))


def solutions(polls: Sequence[Poll], language: str, *, hidden: bool) -> str:
    """The right answers, as Markdown; ``hidden``: each to be uncovered by who wants to know."""
    mark = "||" if hidden else ""
    lines = [f"{number}. {mark}{_solution(poll)}{mark}" for number, poll in enumerate(polls, 1)]
    return "\n".join((f"**{say('quiz_solutions', language)}**", "", *lines))


def _solution(poll: Poll) -> str:
    right = f"{LETTERS[poll.correct]}: {one_line(poll.options[poll.correct], LONGEST)}"
    return f"{right} ({one_line(poll.explanation, LONGEST)})" if poll.explanation else right
