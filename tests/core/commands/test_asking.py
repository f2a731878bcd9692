"""What the model is asked by a command."""

from __future__ import annotations

from typing import Any

import pytest

from core.commands import asking
from core.commands.table import BY_NAME
from core.conversation.history import Mode
from core.message import Attachment, AttachmentKind, Author, Quote
from tests.builders import call

MEANT = Quote("5", "Bob", "Je suis\nici")
PICTURE = Attachment(AttachmentKind.IMAGE, "r")


def question(name: str, **values: Any) -> str:
    return asking.question_of(BY_NAME[name], call(name, **values))


def test_the_message_meant_is_material_and_the_answer_is_in_the_askers_language() -> None:
    said = question("translate", quote=MEANT, author=Author("7", "Ada", language="zh-CN"))
    assert "into Chinese (Simplified, China)" in said
    assert said.endswith("The message, by Bob:\n> Je suis\n> ici")
    assert asking.AS_MATERIAL in said
    assert "Answer in English" in question("explain", quote=MEANT)


def test_typed_text_is_the_message_where_none_is_meant() -> None:
    said = question("explain", options={"text": "E = mc²"})
    assert said.endswith("The message:\n> E = mc²")


@pytest.mark.parametrize(
    ("values", "into"),
    [
        ({"options": {"text": "hello", "language": "de"}}, "German"),
        ({"options": {"text": "hello", "language": "old English"}}, "old English"),
        ({"options": {"text": "fr"}, "quote": MEANT}, "French"),
        ({"options": {"text": "hello"}, "author": Author("7", "A", language="pt-BR")}, "Portuguese (Brazil)"),
        ({"options": {"text": "hello"}, "author": Author("7", "A", language="no such language")}, "English"),
        ({"options": {"text": "hello", "language": "x\ny " * 50}}, "x y x y"),
    ],
)
def test_languages_to_translate_into(values: dict[str, Any], into: str) -> None:
    assert f"into {into}" in question("translate", **values)


def test_what_is_typed_in_a_reply_is_a_wish() -> None:
    assert "for a child" in question("explain", quote=MEANT, options={"text": "for a child"})


def test_a_picture_alone_can_be_asked_about() -> None:
    row, asked = BY_NAME["explain"], call("explain", attachments=(PICTURE,))
    assert not asking.is_empty(row, asked)
    assert asking.question_of(row, asked).startswith("Explain the message")


def test_summarize_alone_means_the_conversation() -> None:
    assert "our conversation" in question("summarize")
    assert "our conversation" not in question("summarize", quote=MEANT)


@pytest.mark.parametrize(
    ("name", "is_empty"),
    [("chat", True), ("explain", True), ("translate", True), ("summarize", False), ("regenerate", False)],
)
def test_nothing_to_ask_about(name: str, is_empty: bool) -> None:
    assert asking.is_empty(BY_NAME[name], call(name)) is is_empty


def test_how_questions_are_found() -> None:
    assert [asking.mode_of(name) for name in ("chat", "explain", "regenerate", "continue")] == [
        Mode.ASK,
        Mode.ASK,
        Mode.AGAIN,
        Mode.MORE,
    ]
