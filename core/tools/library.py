"""What a space, or a person alone with the bot, had the bot learn: searched by a model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial

from core.conversation.turn import Turn
from core.knowledge.asking import scope_of
from core.knowledge.documents import Found
from core.knowledge.passages import Passages
from core.models.chat import ToolForm
from core.parts import Part
from core.tools.tool import Arguments, Caller, Output, Tool, takes, text_of, words

COUNT = 5


async def _run(passages: Passages, arguments: Arguments, caller: Caller) -> AsyncGenerator[Part | Output]:
    turn = caller.turn
    found = await passages.search(await _scope(passages, turn), text_of(arguments, "query"), COUNT, payer=turn.payer)
    yield Output("\n\n".join(map(_shown, found)) or "Nothing was found.")


async def _scope(passages: Passages, turn: Turn) -> str:
    """What is looked through goes by who asks where, never by what the model says."""
    return await scope_of(passages, turn, turn.incoming)


def _shown(found: Found) -> str:
    where = [found.document.title, found.passage.heading]
    if found.passage.page:
        where.append(f"page {found.passage.page}")
    where.append(found.passage.link or found.document.link)
    return f"[{' · '.join(filter(None, where))}]\n{found.passage.text}"


def library(passages: Passages) -> Tool:
    """Searches a space's documents, in private chats the asker's own."""

    async def is_there(turn: Turn) -> bool:
        return bool(await passages.list(await _scope(passages, turn)))

    form = ToolForm(
        "search_documents",
        "Searches the documents of this community. Say from which document and page an answer is.",
        takes(["query"], query=words("a question or words", 1000)),
    )
    return Tool(
        form,
        partial(_run, passages),
        allowed_as="search_documents",
        called="tool.search_documents",
        is_there=is_there,
        gives_links=True,
    )
