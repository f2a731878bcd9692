"""Questions of a quiz in words."""

from __future__ import annotations

from bots.quizzing import in_words, solutions
from core.parts import Poll

POLL = Poll("*Who*\nis it?", ("||a||", "[b](https://x.y)"), 0, "`Because`")


def test_what_stands_in_a_question_is_shown_as_text() -> None:
    said = in_words(POLL)
    assert said.splitlines()[0] == r"**\*Who\* is it?**"
    assert r"\|\|a\|\|" in said
    assert r"\[b\]" in said


def test_solutions_are_hidden_where_that_can_be() -> None:
    assert solutions([POLL], "en", hidden=True).splitlines()[-1].startswith("1. ||A: ")
    assert solutions([POLL], "zh", hidden=False).splitlines()[-1] == r"1. A: \|\|a\|\| (\`Because\`)"
