"""Questions that the documents did not answer: staff answer each once, and all who asked are told."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import structlog

from core.commands.row import Room
from core.knowledge.documents import Draft, LibraryError, Passage, space_scope
from core.knowledge.open_questions import Asker, Open
from core.message import Author, CommandCall, ConversationKey
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people.identity import account_of
from core.people.spaces import space_id
from core.storage.records import Conflict
from core.texts import one_line, say

log = structlog.get_logger()

DONE = Finished(Ending.COMPLETE)
LONGEST_ANSWER = 4000
"""Characters."""
SHORTENED = 150
MOST_SHOWN = 20
TOLD = "answered-"
"""Begins the ids of what the bot posts itself, as no platform's do."""


async def list_open(room: Room) -> AsyncIterator[Part]:
    """What waits, by its numbers, oldest first."""
    waiting = await room.community.questions.of(_space(room))
    if not waiting:
        yield Notice("questions_none")
    else:
        lines = [say("questions_heading", room.language, count=len(waiting))]
        for one in waiting[:MOST_SHOWN]:
            day = f"{datetime.fromtimestamp(one.at, UTC):%Y-%m-%d}"
            lines.append(f"{one.number}. {one_line(one.text, SHORTENED)} ({day}, ×{len(one.askers)})")
        yield TextDelta("\n".join(lines))
        yield Notice("questions_how")
    yield DONE


async def answer(room: Room) -> AsyncIterator[Part]:
    """Answers a question once: the answer joins the space's documents, and everybody who asked is told it."""
    typed, text = room.value("number"), room.value("words")
    number = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= 9 else 0
    space, questions = _space(room), room.community.questions
    if not (number and text):
        yield Notice("answer_how")
    elif len(text) > LONGEST_ANSWER:
        yield Notice("too_long", {"found": len(text), "allowed": LONGEST_ANSWER})
    else:
        # Each step may be done again by who takes over: the document and the posts have ids of their own.
        try:
            question = await questions.claim(space, number, room.turn.id)
            if question is not None:
                await _learn(room, question, text)
                await _tell(room, question, text)
            is_ours = await questions.close(space, number, room.turn.id)
        except Conflict:
            yield Notice("conflict")
        except LibraryError as error:
            yield Notice(error.key, error.values)
        else:
            yield Notice("answer_done", {"number": number}) if is_ours else Notice("answer_unknown", {"number": number})
    yield DONE


async def answered(room: Room) -> AsyncIterator[Part]:
    """Tells who asked: posted by :func:`answer` to their conversation. Nobody else has the bot say so."""
    if room.call.id.startswith(TOLD):
        asked = one_line(room.value("question"), SHORTENED)
        yield Notice("answered", {"question": asked, "name": one_line(room.value("by"), 64)})
        yield TextDelta(room.value("words"))
    else:
        yield Notice("unknown_command", {"found": room.call.name})
    yield DONE


async def _learn(room: Room, question: Open, text: str) -> None:
    """The question and its answer are a document of their own. Raises LibraryError."""
    passage = Passage("", 0, f"{question.text}\n{text}")
    by = account_of(room.call.author, room.call.conversation.platform)
    draft = Draft(one_line(question.text, SHORTENED), question.text, "answer", (passage,), added_by=by)
    await room.workshop.passages.add(space_scope(_space(room)), draft, room.turn.payer)


async def _tell(room: Room, question: Open, text: str) -> None:
    """Each asker in their own language, in the conversation where they asked."""
    posts = [_post(room, question, asker, text) for asker in question.askers]
    for post in posts:
        await room.mailbox.post([post], wakes=True)
    log.info("question answered", space=_space(room), number=question.number, told=len(posts))


def _post(room: Room, question: Open, asker: Asker, text: str) -> CommandCall:
    there = ConversationKey.parse(asker.conversation)
    id = f"{TOLD}{hashlib.sha256(f'{_space(room)} {question.number} {asker.account}'.encode()).hexdigest()[:24]}"
    author = Author(asker.account.partition(":")[2], asker.name, language=asker.language)
    options = {"question": question.text, "words": text, "by": room.call.author.name}
    return CommandCall(there, id, id, author, "answered", options, room.call.sent_at, space=room.call.space)


def _space(room: Room) -> str:
    return space_id(room.call.conversation, room.call.space)
