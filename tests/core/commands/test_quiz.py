"""Quizzes: what of a model's answer can be asked, and what is done where nothing can."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.commands.quiz import questions_in
from core.conversation.mailbox import Mailbox
from core.conversation.turn import Turn
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.parts import Finished, Notice, Part, Poll, TextDelta
from core.storage.client import Store
from tests.builders import call
from tests.core.commands.test_imagine import Admission
from tests.core.engines import engine
from tests.platforms.openai_server import OpenAIServer, Reply

ROW = {
    "question": "The largest\nplanet?",
    "options": ["Mars", "Jupiter"],
    "correct": 1,
    "explanation": "By far.",
}
LARGEST = Poll("The largest planet?", ("Mars", "Jupiter"), 1, "By far.")


def said(*rows: Any) -> str:
    return json.dumps({"questions": rows})


@pytest.mark.parametrize(
    "text",
    [
        said(ROW),
        f"Here it is:\n```json\n{said(ROW, ROW)}\n```\nHave fun {{}}!".replace("{}", ""),
        json.dumps([ROW]),
        json.dumps(ROW),
        said({**ROW, "correct": "B"}),
        said({**ROW, "correct": "jupiter"}),
        said({**ROW, "correct": 5}, ROW, {**ROW, "question": "Other", "options": ["a", "A"]}, "no row", None),
    ],
)
def test_questions_are_found_in_what_models_answer(text: str) -> None:
    assert questions_in(text) == [LARGEST]


@pytest.mark.parametrize(
    "row",
    [
        {**ROW, "correct": -1},
        {**ROW, "correct": True},
        {**ROW, "correct": None},
        {**ROW, "options": ["one"], "correct": 0},
        {**ROW, "options": [str(n) for n in range(20)]},
        {**ROW, "options": ["", "b"]},
        {**ROW, "options": "ab"},
        {**ROW, "question": "  "},
        {**ROW, "question": 5},
    ],
)
def test_what_has_no_one_right_answer_is_left_out(row: dict[str, Any]) -> None:
    assert questions_in(said(row)) == []


def test_texts_are_cut_to_what_every_platform_takes() -> None:
    (poll,) = questions_in(
        said({"question": "q" * 999, "options": ["a" * 99, "b"], "correct": 0, "explanation": "e" * 999})
    )
    assert [len(text) for text in (poll.question, *poll.options, poll.explanation)] == [300, 55, 1, 200]


def test_of_an_answer_that_was_cut_the_whole_questions_count() -> None:
    assert questions_in(said(ROW, ROW, {**ROW, "question": "Cut"})[:-60]) == [LARGEST]


@pytest.mark.parametrize("text", ['{"' * 60_000, '{"a":' * 5000, '{ "a": [1,' * 5000])
def test_what_is_made_to_be_slow_is_not(text: str) -> None:
    # Tried from each bracket on, it would take minutes.
    assert questions_in(text) == []


@pytest.mark.parametrize("text", ["", "no", "{", "[" * 5000, '{"questions": {}}', "}{"])
def test_nothing_is_found_in_nothing(text: str) -> None:
    assert questions_in(text) == []


async def asked(store: Store, reply: Reply, typed: str) -> tuple[list[Part], OpenAIServer]:
    row = Model("one", "p", "one")
    async with OpenAIServer(models=["one"], reply=reply) as server:
        catalog = Catalog([Provider("p", server.url)], [row])
        mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
        made = call("quiz", options={"text": typed})
        async with engine(store, mailbox, models=catalog) as answering:
            return [part async for part in answering.respond(Turn(made.conversation, "1", "1", made))], server


async def test_each_question_is_a_poll_and_the_topic_is_material(store: Store) -> None:
    parts, server = await asked(
        store, said(ROW, {**ROW, "question": "And the smallest?"}), "count=1 language=de planets"
    )
    assert [part for part in parts if isinstance(part, Poll)] == [LARGEST]
    assert [part.text for part in parts if isinstance(part, TextDelta)] == ["**A quiz with one question**"]
    (request,) = server.requests
    assert request.messages[-1]["content"] == "> planets"
    assert "1 questions in German" in request.messages[0]["content"]
    assert request.body["response_format"]["type"] == "json_schema"


async def test_what_cannot_be_read_is_asked_for_once_more_and_then_told(store: Store) -> None:
    replies = iter(["Sure! Here is a quiz.", said(ROW)])
    parts, server = await asked(store, lambda _: next(replies), "planets")
    assert LARGEST in parts
    assert [message["role"] for message in server.requests[1].messages] == ["system", "user", "assistant", "user"]
    parts, server = await asked(store, "No.", "planets")
    assert [part for part in parts if isinstance(part, Notice)] == [Notice("quiz_failed")]
    assert len(server.requests) == 2
    last = parts[-1]
    assert isinstance(last, Finished)
    assert last.usage.calls == 2
