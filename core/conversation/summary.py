"""The summary that stands in a prompt for what was cut from it. Made by a job, so that no answer waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing

import structlog

from core.conversation.history import Answer, History, Older
from core.message import ConversationKey
from core.models.chat import ChatMessage, ChatRequest
from core.models.paying import NOBODY, Payer
from core.models.router import Router
from core.parts import Ending, Finished, Notice, TextDelta
from core.people.spaces import Spaces

log = structlog.get_logger()

JOB = "summarise"
INPUT_TOKENS = 6000
MAX_TOKENS = 300
MAX_CHARS = 2000
INSTRUCTION = (
    "Summarise this conversation in at most 150 words, in its own language, for someone who has to go on with it: "
    "names, facts, decisions, open questions. Only the summary."
)

Enqueue = Callable[[str, str, str], Awaitable[None]]
"""Takes a job's name, its own id and its argument; the same id twice is one job."""


async def request(enqueue: Enqueue, conversation: ConversationKey, cut: str, payer: Payer = NOBODY) -> None:
    """Asks for the summary of what lies before the message ``cut``, once. A space pays for its own, which is of use to
    all there; in private the person does."""
    whose = f"|{payer.space}|{'' if payer.space else payer.person}"
    await enqueue(JOB, f"{conversation}|{cut}", f"{conversation}|{cut}{whose}")


async def summarise(history: History, router: Router, spaces: Spaces, argument: str) -> None:
    """The job: reads what was cut, has it summarised by a model that the space allows, keeps it. Does nothing when it
    was forgotten meanwhile."""
    name, cut, *whose = argument.split("|")
    space, person = whose or ("", "")
    conversation = ConversationKey.parse(name)
    older = await history.older(conversation, cut, INPUT_TOKENS)
    if not older.nodes:
        return
    payer = Payer(person, space, listens=False)
    allowed = frozenset((await spaces.of(space)).models)
    answer = router.answer(ChatRequest(_prompt(older), max_answer=MAX_TOKENS, models=allowed, payer=payer))
    pieces: list[str] = []
    ending, is_affordable = Ending.FAILED, True
    async with aclosing(answer) as parts:
        async for part in parts:
            if isinstance(part, TextDelta):
                pieces.append(part.text)
            elif isinstance(part, Notice) and part.key.startswith("budget_") and not pieces:
                is_affordable = part.key == "budget_low"
            elif isinstance(part, Finished):
                ending = part.ending
    if not is_affordable:
        log.info("not summarised: no budget", conversation=name)
        return
    summary = _cut("".join(pieces).strip())
    if ending not in {Ending.COMPLETE, Ending.LENGTH} or not summary:
        raise RuntimeError(f"no summary: the model's answer was {ending}")
    kept = await history.put_summary(conversation, cut, older, summary)
    log.info("summarised", conversation=name, messages=len(older.nodes), kept=kept)


def _cut(text: str) -> str:
    """At most :data:`MAX_CHARS` of it, and no half words: half a name or number is another one."""
    if len(text) <= MAX_CHARS:
        return text
    words = text[: MAX_CHARS + 1].rsplit(None, 1)[0]
    return words[:MAX_CHARS]


def _prompt(older: Older) -> tuple[ChatMessage, ...]:
    lines = [f"What was said before: {older.earlier}"] if older.earlier else []
    for node in older.nodes:
        who = "Assistant" if isinstance(node.said, Answer) else node.said.author or "User"
        lines.append(f"{who}: {_cut(node.said.text)}")
    return (ChatMessage("system", INSTRUCTION), ChatMessage("user", "\n\n".join(lines)))
