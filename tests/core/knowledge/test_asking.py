"""What a community knows, as the engine answers: its staff's rules, its documents, and what nobody knows yet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.conversation.mailbox import Admission, Mailbox
from core.knowledge.documents import Draft, Passage, person_scope, space_scope
from core.knowledge.open_questions import MOST_OF_ONE, Asker, OpenQuestions, with_question, without_people
from core.knowledge.passages import Passages
from core.message import Author, CommandCall, Message, Quote
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.parts import Finished, Notice, Part, TextDelta
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from tests.builders import call, conversation, message
from tests.core.engines import engine
from tests.platforms.openai_server import OpenAIServer

SPACE = "telegram:1:-5"
ASKED = "At nine in the morning the library opens?"
HOURS = "The library opens at nine in the morning and closes at six in the evening."
OWNER = Author("7", "Ada")
BOB = Author("8", "Bob")


class Desk:
    """A group with documents, of which account 7 is an owner."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
        self.community = Community.of(Settings(), store)
        self.passages = Passages(store, Settings().knowledge)

    async def learn(self, *texts: str, scope: str = space_scope(SPACE)) -> None:
        for number, text in enumerate(texts):
            await self.passages.add(
                scope, Draft(f"Note {number}", f"{text[:9]}", "text", (Passage("", 0, text, page=2),))
            )

    async def choose(self, **values: Any) -> None:
        await self.community.spaces.change(SPACE, lambda space: space.model_copy(update=values))

    async def ask(self, text: str, author: Author = BOB, models: Catalog | None = None) -> list[Part]:
        return await self.answer(message(text, chat="-5", private=False, space="-5", author=author), models)

    async def do(self, name: str, text: str = "", author: Author = OWNER, **values: Any) -> list[Part]:
        place: dict[str, Any] = {"chat": "-5", "private": False, "space": "-5", **values}
        return await self.answer(call(name, options={"text": text} if text else {}, author=author, **place))

    async def answer(self, asked: Message | CommandCall, models: Catalog | None = None) -> list[Part]:
        await self.mailbox.post([asked])
        turn = await self.mailbox.take(asked.conversation)
        assert turn is not None
        async with engine(self.store, self.mailbox, owners=["telegram:7"], models=models) as answering:
            parts = [part async for part in answering.respond(turn)]
        await self.mailbox.finish(turn, "{}", 1)
        assert isinstance(parts[-1], Finished)
        return parts

    async def waiting(self, chat: str = "-5") -> list[CommandCall]:
        """What was posted for others, and is not answered yet."""
        found: list[CommandCall] = []
        while turn := await self.mailbox.take(conversation(chat)):
            assert isinstance(turn.incoming, CommandCall)
            found.append(turn.incoming)
            await self.mailbox.finish(turn, "{}", 1)
        return found


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


def said(parts: list[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


def keys(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


async def test_what_staff_wrote_is_said_without_a_model(desk: Desk) -> None:
    assert keys(await desk.do("faq add", '"*opening hours*" {name}: from nine, not {unknown}')) == ["faq_added"]
    parts = await desk.ask("What are your OPENING hours?!", Author("8", "B*b"))
    assert said(parts) == "B\\*b: from nine, not {unknown}"
    assert keys(parts) == []
    assert "no_models" in keys(await desk.ask("Who opens?"))
    assert "no_models" in keys(await desk.do("rewrite", "opening hours", BOB))
    # Nobody else's group, and no private chat.
    other = message("opening hours", chat="-6", private=False, space="-6", author=BOB)
    assert "no_models" in keys(await desk.answer(other))
    assert said(await desk.do("faq list")).startswith("**1 written answer**\n1. \\*opening hours\\* → ")
    assert keys(await desk.do("faq test", "opening hours")) == ["faq_hit"]
    assert keys(await desk.do("faq remove", "1")) == ["faq_removed"]
    assert keys(await desk.do("faq remove", "1")) == ["faq_unknown"]
    assert keys(await desk.do("faq list")) == ["faq_empty"]


async def test_what_staff_wrote_waits_for_no_model_and_none_judges_it(desk: Desk) -> None:
    await desk.do("faq add", '"*opening hours*" from nine')
    # A model that is on its way would be waited for a minute.
    awaited = Catalog([], [])
    awaited.expect_local()
    async with asyncio.timeout(10):
        assert said(await desk.ask("opening hours?", models=awaited)) == "from nine"
    async with OpenAIServer(models=("one",)) as server:
        server.moderation.scores = {"opening": {"violence": 0.9}}
        judged = Catalog(
            [Provider("p", server.url)], [Model("one", "p", "one"), Model("j", "p", "j", kind="moderation")]
        )
        parts = await desk.ask("opening hours?", models=judged)
        assert (said(parts), keys(parts)) == ("from nine", [])
        assert server.moderation.inputs == []
        assert server.requests == []
        # It is in the history like any answer: what follows is asked with it.
        await desk.ask("hours of opening?", models=judged)
        assert server.moderation.inputs != []


async def test_what_staff_wrote_is_not_said_to_who_is_shut_out_nor_for_forbidden_words(desk: Desk) -> None:
    await desk.do("faq add", '"*opening hours*" from nine')
    await desk.choose(blocked_words=("damned",))
    assert keys(await desk.ask("your damned opening hours?")) == ["unsafe_prompt"]
    quote = Quote("1", "Eve", "damned")
    asked = message("opening hours?", chat="-5", private=False, space="-5", author=BOB, reply_to="1", quote=quote)
    assert keys(await desk.answer(asked)) == ["unsafe_prompt"]
    await desk.community.people.change("telegram:8", lambda person: person.model_copy(update={"blocked": "spam"}))
    parts = await desk.ask("opening hours?")
    assert (said(parts), keys(parts)) == ("", ["blocked_everywhere"])


async def test_who_may_not_teach_changes_nothing(desk: Desk) -> None:
    for name, text in (("faq add", "hello there"), ("faq remove", "1"), ("questions", ""), ("answer", "1 yes")):
        assert keys(await desk.do(name, text, BOB)) == ["lacking.teach"]
    for typed in ("* yes", "a yes", "hello"):
        assert keys(await desk.do("faq add", typed))[0].startswith("faq_no_")


async def test_documents_answer_with_their_source_where_no_model_reads(desk: Desk) -> None:
    await desk.learn(HOURS, "Cats are not allowed in the reading room.")
    parts = await desk.do("ask", ASKED, BOB)
    assert said(parts) == f"> {HOURS}\n— [1] Note 0, page 2"
    assert keys(parts) == ["quoted_only"]
    # In private only what is one's own is looked up.
    assert keys(await desk.do("ask", ASKED, BOB, chat="8", private=True, space="")) == ["not_known"]
    await desk.learn(
        "The library of Ada opens at midnight, not at nine in the morning.", scope=person_scope("telegram:7")
    )
    assert "midnight" in said(await desk.do("ask", ASKED, OWNER, chat="7", private=True, space=""))
    assert "midnight" not in said(await desk.do("ask", ASKED))


async def test_a_model_is_shown_passages_as_material_and_cites_them(desk: Desk) -> None:
    await desk.learn(HOURS)
    async with OpenAIServer(reply=lambda _: "At nine [1].") as server:
        models = Catalog([Provider("p", server.url, "k")], [Model("stub", "p", "stub")])
        parts = await desk.ask(ASKED, models=models)
        assert said(parts) == "At nine [1].\n\n**Sources**\n[1] Note 0, page 2"
        asked = str(server.requests[-1].messages)
        assert f"[1] Note 0, page 2\\n> {HOURS}" in asked
        assert "[?]" not in asked
        # What the documents say nothing of is asked as ever.
        assert said(await desk.ask("Who wrote Hamlet?", models=models)) == "At nine [1]."
        assert "Note 0" not in str(server.requests[-1].messages)
        await desk.choose(documents="off")
        await desk.ask(ASKED, models=models)
        assert "Note 0" not in str(server.requests[-1].messages)


async def test_what_nobody_knows_is_answered_by_staff_once_for_all_who_asked(desk: Desk) -> None:
    await desk.choose(documents="only")
    assert keys(await desk.ask("Where can I park my bicycle?")) == ["not_known_listed"]
    assert keys(await desk.ask("where can I park my bicycle", Author("9", "Eve"))) == ["not_known_listed"]
    assert keys(await desk.ask("hm?")) == ["not_known"]
    assert "1. Where can I park my bicycle? (" in said(await desk.do("questions"))
    assert keys(await desk.do("answer", "2 In the yard.")) == ["answer_unknown"]
    assert keys(await desk.do("answer", "1")) == ["answer_how"]
    posted = call("answer", options={"number": "1", "words": "In the yard."}, chat="-5", private=False, space="-5")
    assert keys(await desk.answer(posted)) == ["answer_done"]
    told = await desk.waiting()
    assert [one.author.id for one in told] == ["8", "9"]
    assert keys(await desk.do("questions")) == ["questions_none"]
    assert "In the yard." in said(await desk.ask("Where can I park it, my bicycle?"))
    # Nobody else has the bot speak for the staff.
    (forged,) = keys(await desk.do("answered", "x", BOB))
    assert forged == "unknown_command"


async def test_an_answer_that_is_given_again_after_a_crash_is_told_once(desk: Desk) -> None:
    await desk.choose(documents="only")
    await desk.ask("Where can I park my bicycle?")
    posted = call("answer", options={"number": "1", "words": "In the yard."}, chat="-5", private=False, space="-5")
    await desk.mailbox.post([posted])
    turn = await desk.mailbox.take(posted.conversation)
    assert turn is not None
    for _ in range(2):
        async with engine(desk.store, desk.mailbox, owners=["telegram:7"]) as answering:
            assert keys([part async for part in answering.respond(turn)]) == ["answer_done"]
    await desk.mailbox.finish(turn, "{}", 1)
    assert len(await desk.waiting()) == 1
    assert len(await desk.passages.list(space_scope(SPACE))) == 1


async def test_of_two_of_the_staff_at_once_one_answers(desk: Desk) -> None:
    await desk.choose(documents="only")
    await desk.ask("Where can I park my bicycle?")
    waiting = desk.community.questions
    assert await waiting.claim(SPACE, 1, "one") is not None
    assert await waiting.claim(SPACE, 1, "two") is None
    assert not await waiting.close(SPACE, 1, "two")
    assert await waiting.claim(SPACE, 1, "one") is not None
    assert await waiting.close(SPACE, 1, "one")
    assert await waiting.of(SPACE) == ()


async def test_a_model_that_finds_nothing_in_the_passages_does_not_guess(desk: Desk) -> None:
    await desk.learn(HOURS)
    await desk.choose(documents="only")
    async with OpenAIServer(reply=lambda _: "[?] I think at noon") as server:
        models = Catalog([Provider("p", server.url, "k")], [Model("stub", "p", "stub")])
        parts = await desk.ask("At nine in the morning the library opens on holidays?", models=models)
    assert said(parts) == ""
    assert keys(parts) == ["not_known_listed"]


async def test_where_documents_alone_may_answer_no_tool_does(desk: Desk) -> None:
    await desk.learn(HOURS)
    async with OpenAIServer(models=("one",), reply="At nine [1].") as server:
        models = Catalog([Provider("p", server.url)], [Model("one", "p", "one", tools=True)])
        await desk.ask(ASKED, models=models)
        await desk.choose(documents="only")
        await desk.ask(ASKED, models=models)
        assert ["tools" in request.body for request in server.requests] == [True, False]


async def test_recommendations_say_why(desk: Desk) -> None:
    assert keys(await desk.do("recommend", "cats")) == ["recommend_no_documents"]
    await desk.learn(HOURS, "Cats and dogs: a book about pets.", "Cooking for cats.")
    assert keys(await desk.do("recommend")) == ["recommend_how_here"]
    assert keys(await desk.do("recommend", "astronomy")) == ["recommend_nothing"]
    text = said(await desk.do("recommend", "cats, cooking"))
    first, second = text.index("Cooking for cats"), text.index("Cats and dogs")
    assert first < second
    assert "because of: cooking, cats" in text or "because of: cats, cooking" in text
    assert "nine" not in text
    await desk.community.people.change("telegram:8", lambda p: p.model_copy(update={"facts": ()}))


def test_a_list_of_questions_is_bounded_and_forgets_people() -> None:
    found = OpenQuestions()
    for number in range(MOST_OF_ONE + 2):
        asker = Asker(account="telegram:8", name="Bob", conversation="c", message=str(number))
        found = with_question(found, f"question number {number}", asker, 1.0)
    assert len(found.questions) == MOST_OF_ONE
    eve = Asker(account="telegram:9", name="Eve", conversation="c", message="x")
    found = with_question(found, "Question number 0!", eve, 1.0)
    left = without_people(found, frozenset({"telegram:8"}))
    assert [one.askers for one in left.questions] == [(eve,)]
    assert without_people(left, frozenset({"telegram:8"})) is left
