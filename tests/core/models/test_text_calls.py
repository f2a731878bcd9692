"""Tool calls in the text of small models, and prompts for models that know no tools."""

from __future__ import annotations

import pytest

from core.models.chat import ChatMessage, without_tools
from core.models.text_calls import LONGEST_CALL, TextCalls
from core.parts import ToolCall

CALL = '{"name": "look", "arguments": {"at": "it"}}'


def read(text: str, step: int = 3) -> tuple[str, tuple[ToolCall, ...]]:
    """What is shown and called of a text that comes in pieces."""
    calls = TextCalls(["look"])
    shown = "".join(calls.feed(text[at : at + step]) for at in range(0, len(text), step))
    rest, found = calls.finish()
    return shown + rest, found


@pytest.mark.parametrize(
    "text",
    [
        CALL,
        f"\n```json\n{CALL}\n```",
        f"<tool_call>\n{CALL}\n</tool_call>",
        CALL.replace("arguments", "parameters"),
        '{"name": "look", "arguments": "{\\"at\\": \\"it\\"}"}',
    ],
)
def test_a_call_is_taken_out_of_the_text(text: str) -> None:
    assert read(text) == ("", (ToolCall("call_0", "look", '{"at": "it"}'),))


def test_several_calls_follow_each_other() -> None:
    shown, calls = read(f"<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>")
    assert (shown, [call.id for call in calls]) == ("", ["call_0", "call_1"])


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        '{"name": "other", "arguments": {}}',
        '{"name": 5}',
        "{broken",
        f"{CALL} is how you do it",
        "```python\nprint(1)\n```",
        "[1, 2]",
        "{" + " " * LONGEST_CALL + "}",
        "{" * 10_000,
        "",
    ],
)
def test_all_else_is_an_answer(text: str) -> None:
    assert read(text, 1000) == (text, ())


def test_words_are_shown_as_they_come() -> None:
    calls = TextCalls(["look"])
    assert [calls.feed(piece) for piece in ("Th", "e tree", " {x}")] == ["Th", "e tree", " {x}"]


def test_a_model_without_tools_is_told_of_their_output_by_the_user() -> None:
    asked = ChatMessage("assistant", "Wait.", calls=(ToolCall("1", "look", "{}"),))
    silent = ChatMessage("assistant", "", calls=(ToolCall("2", "look", "{}"),))
    given = ChatMessage("tool", "a tree", call_id="1")
    plain = (ChatMessage("user", "look"),)
    assert without_tools((*plain, asked, given, silent, given)) == (
        *plain,
        ChatMessage("assistant", "Wait."),
        *[ChatMessage("user", "a tree")] * 2,
    )
    assert without_tools(plain) is plain
