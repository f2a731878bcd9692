"""What of a community's documents and answers fits somebody's interests, and why."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from core.commands.row import Room
from core.knowledge.asking import scope_of
from core.knowledge.documents import titled
from core.knowledge.recommending import MOST_INTERESTS, Recommended, chosen, interests_of, quoted
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people.memory import clean
from core.texts import one_line, say

DONE = Finished(Ending.COMPLETE)
LONGEST_INTEREST = 60
FOUND_EACH = 5
"""Passages looked at for each interest."""
LEAST = 0.35
"""Score of a passage that somebody may be told to read: measured with ``benchmarks/knowledge.py``."""


async def recommend(room: Room) -> AsyncIterator[Part]:
    """By the interests that are named, or what the caller asked to keep in mind about them. Free: no chat model is
    asked."""
    named = interests_of(clean(room.value("interests")))
    passages = room.workshop.passages
    # What is kept in mind is shown to nobody else.
    is_theirs = room.call.private or bool(room.call.reply_token)
    known = tuple(fact.text for fact in room.turn.person.facts) if is_theirs else ()
    interests = (named or known)[-MOST_INTERESTS:]
    if not interests:
        yield Notice("recommend_how" if is_theirs else "recommend_how_here")
    elif not await passages.list(scope := await scope_of(passages, room.turn, room.call)):
        yield Notice("recommend_no_documents")
    else:
        found = [
            (interest, await passages.search(scope, interest, FOUND_EACH, LEAST, room.turn.payer))
            for interest in interests
        ]
        if picked := chosen(found):
            yield TextDelta(_told(picked, room.language))
        else:
            yield Notice("recommend_nothing")
    yield DONE


def _told(picked: Sequence[Recommended], language: str) -> str:
    lines = [say("recommended", language)]
    for number, one in enumerate(picked, 1):
        passage = one.passage
        where = f", {say('source_page', language, page=passage.page)}" if passage.page else ""
        shown = f"**{titled(one.document.title, passage.link)}**"
        interests = ", ".join(one_line(interest, LONGEST_INTEREST) for interest in one.interests)
        reason = say("recommended_because", language, interests=interests)
        lines.append(f"{number}. {shown}{where}\n   {reason}\n   > {quoted(passage.text)}")
    return "\n".join(lines)
