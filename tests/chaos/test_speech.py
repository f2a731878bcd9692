"""The stub model's answers: told from the prompt alone, and gone on with where they stop."""

from __future__ import annotations

from typing import Any

from core.conversation.summary import INSTRUCTION
from core.models.answering import GO_ON
from tests.chaos import speech


def body(*texts: str) -> dict[str, Any]:
    roles = ["system", *(["user", "assistant"] * len(texts))]
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]}


def test_an_answer_tells_what_the_prompt_held() -> None:
    prompt = body("persona", "Ann: explain zq3 in 4 words", "zq3=0", "Ann: explain zq12 in 5 words with code")
    assert speech.reply(prompt) == speech.answer("zq12", 5, ["zq3", "zq12"], code=True)
    assert speech.asked_in(prompt) == "zq12"
    assert speech.tags_in(prompt) == {"zq3", "zq12"}


def test_a_broken_answer_is_gone_on_with() -> None:
    whole = speech.answer("zq3", 40, ["zq3"])
    prompt = body("persona", "explain zq3 in 40 words", whole[:100], GO_ON)
    assert whole[:100] + speech.reply(prompt) == whole
    assert "not mine" in speech.reply(body("persona", "explain zq3 in 40 words", "something else", GO_ON))


def test_a_summary_is_no_answer() -> None:
    assert speech.reply(body(INSTRUCTION, "User: explain zq3 in 40 words")) == "They spoke of zq3"


def test_every_word_stands_once() -> None:
    for code in (False, True):
        text = speech.answer("zq3", 100, ["zq3"], code=code)
        assert [int(number) for _, number in speech.WORD.findall(text)] == list(range(101))
        assert speech.ended(text, "zq3")
        assert not speech.ended(text, "zq33")
