"""Questions answered from what a community knows: rules of its staff first, then its documents."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from core.conversation.history import Path, Question
from core.conversation.turn import Turn
from core.knowledge.documents import space_scope
from core.knowledge.faq import filled, fold, match
from core.knowledge.grounds import Grounds, cited
from core.knowledge.open_questions import Asker
from core.knowledge.passages import Passages
from core.message import CommandCall, Message
from core.models.model import Model
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people.community import Community
from core.people.identity import Person, account_of
from core.people.spaces import space_id
from core.storage.records import Conflict
from core.texts import one_line

log = structlog.get_logger()

LONGEST_NAME = 64
MOST_SHOWN = 5
"""Passages that a model is shown."""
MOST_QUOTED = 2
"""Passages that are shown as they are where no model can read them."""
LEAST_ALSO = 0.45
"""Score of a passage that is worth a model's while where it may answer without, or that is shown as it stands. Of 100
right ones 82 have it, and so has one for 10 of 100 questions about something else (``benchmarks/knowledge.py``)."""
LEAST_ALONE = 0.3
"""The same where nothing but passages may answer, for a model that is told to say so where they do not help: 84 and
40 of 100."""
SHARE = 8
"""Passages take one part in so many of a model's window, at the cost of the longest answer."""
SMALL_WINDOW = 4096
"""Tokens, where it is not known which model will answer."""
SHORT_QUESTION = 30
"""Characters: a shorter one is looked up together with the question before it, which it may lean on."""
LEAST_ASKED = 6
"""Letters of what staff are bothered with; of Chinese and its neighbours half as many."""
ASK = "ask"
"""The command that asks the documents alone."""
ASKING = frozenset((ASK, "chat", "regenerate", "continue"))
"""Commands whose words are a question: /write and its like have a material of their own."""


class Answers:
    """Looks for answers in what a community knows."""

    def __init__(self, community: Community, passages: Passages, time_zone: str) -> None:
        """``time_zone`` is that of times where a space has none of its own."""
        self._community = community
        self._passages = passages
        self._zone = time_zone

    async def of_staff(self, turn: Turn, message: Message) -> str:
        """What staff wrote for such a question; empty for nothing. Raises StorageError."""
        if not message.space or message.attachments or not _is_question(turn):
            return ""
        hit = match(await self._community.faqs.of(space_id(message.conversation, message.space)), message.text)
        if hit is None:
            return ""
        now = datetime.now(ZoneInfo(turn.space.time_zone or self._zone))
        values = {
            "name": one_line(message.author.name, LONGEST_NAME),
            "date": f"{now:%Y-%m-%d}",
            "time": f"{now:%H:%M}",
            "rest": one_line(hit.rest, LONGEST_NAME),
        }
        return filled(hit.rule.answer, values)

    async def grounds(self, turn: Turn, message: Message, path: Path, model: Model | None) -> Grounds:
        """The passages for a question, as many as the model has room for; none where documents have no part in its
        answer. Raises StorageError."""
        asked = isinstance(turn.incoming, CommandCall) and turn.incoming.name == ASK
        mode = "only" if asked else (turn.space.documents or "also") if message.space else "also"
        if mode == "off" or not _is_question(turn):
            return Grounds()
        alone = mode == "only"
        least = LEAST_ALONE if alone and _reads(model) else LEAST_ALSO
        found = await self._passages.search(
            await scope_of(self._passages, turn, message), _query(message, path), MOST_SHOWN, least, turn.payer
        )
        return Grounds(found, alone).within((model.window if model else SMALL_WINDOW) // SHARE)

    async def without_model(self, turn: Turn, message: Message, grounds: Grounds, model: Model | None) -> list[Part]:
        """The whole answer where no model is to be asked; empty where one is. Raises StorageError."""
        if not grounds.alone:
            return []
        if not grounds.found:
            return [*await self._unanswered(turn, message), Finished(Ending.COMPLETE)]
        if not _reads(model):
            quoted = TextDelta(grounds.quotes(turn.language, MOST_QUOTED))
            return [quoted, Notice("quoted_only"), Finished(Ending.COMPLETE)]
        return []

    async def shown(
        self, turn: Turn, message: Message, grounds: Grounds, parts: AsyncGenerator[Part]
    ) -> AsyncGenerator[Part]:
        """A model's answer with its sources; in place of one that the passages do not hold, a word that nobody knows
        it yet. Raises StorageError."""
        async with aclosing(cited(parts, grounds, turn.language)) as pieces:
            async for part in pieces:
                if part is not None:
                    yield part
                    continue
                for said in await self._unanswered(turn, message):
                    yield said

    async def _unanswered(self, turn: Turn, message: Message) -> list[Part]:
        """That it is not known, and that staff will be asked, once it is on their list."""
        if not (message.space and _is_worth_asking(message.text)):
            return [Notice("not_known")]
        asker = Asker(
            account=account_of(message.author, message.conversation.platform),
            name=message.author.name[:LONGEST_NAME],
            conversation=str(message.conversation),
            message=message.id,
            language=turn.language,
        )
        try:
            number = await self._community.questions.add(
                space_id(message.conversation, message.space), message.text, asker
            )
        except Conflict as error:
            log.warning("a question is on no list", turn=turn.id, cause=str(error))
            number = 0
        return [Notice("not_known_listed", {"number": number}) if number else Notice("not_known")]


async def scope_of(passages: Passages, turn: Turn, incoming: Message | CommandCall) -> str:
    """Whose documents are looked up: the space's, and in private the person's own. Raises StorageError."""
    if incoming.space:
        return space_scope(space_id(incoming.conversation, incoming.space))
    return await own_scope(passages, turn, incoming)


async def own_scope(passages: Passages, turn: Turn, incoming: Message | CommandCall) -> str:
    """Of what somebody taught for themselves, wherever they ask. Raises StorageError."""
    account = account_of(incoming.author, incoming.conversation.platform)
    person = turn.person if turn.person.id else Person(id=account)
    return await passages.own(person)


def _reads(model: Model | None) -> bool:
    """Whether it can be shown passages and asked to answer from them."""
    return model is not None and not model.small


def _is_question(turn: Turn) -> bool:
    return not isinstance(turn.incoming, CommandCall) or turn.incoming.name in ASKING


def _query(message: Message, path: Path) -> str:
    if len(message.text) >= SHORT_QUESTION:
        return message.text
    asked = [node.said.text for node in path.nodes if isinstance(node.said, Question)]
    return "\n".join([*asked[-2:-1], message.text])


def _is_worth_asking(text: str) -> bool:
    letters = fold(text).replace(" ", "")
    return sum(2 if character > "\u2e7f" else 1 for character in letters) >= LEAST_ASKED
