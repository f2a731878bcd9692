"""Incoming values keep their form in Redis, and bad text is made good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.message import (
    Attachment,
    AttachmentKind,
    Author,
    CommandCall,
    ConversationKey,
    Deletion,
    Incoming,
    Message,
    Platform,
    Quote,
    clean_text,
    from_json,
    to_json,
)

KEY = ConversationKey(Platform.DISCORD, "1", "2", "3")
FULL = Message(
    KEY,
    "10",
    "u10",
    Author("7", "Ada", language="zh-CN"),
    "text",
    1.5,
    private=False,
    reply_to="9",
    quote=Quote("9", "Bob", "before"),
    attachments=(Attachment(AttachmentKind.IMAGE, "ref", "a.png", "image/png", 12),),
    edited=True,
    space="5",
    place="#general in Club",
)


@pytest.mark.parametrize(
    "value",
    [FULL, CommandCall(KEY, "1", "u1", Author("7", "Ada"), "model", {"text": "x"}), Deletion(KEY, ("1", "2"), "u3")],
    ids=lambda value: type(value).__name__,
)
def test_json_and_back(value: Incoming) -> None:
    assert from_json(to_json(value)) == value


def test_a_key_reads_back_and_refuses_the_separator() -> None:
    assert ConversationKey.parse(str(KEY)) == KEY
    with pytest.raises(ValueError, match=":"):
        ConversationKey(Platform.WEB, "a:b", "c")


@given(st.text(alphabet=st.characters(codec=None)))
def test_clean_text_can_be_sent_anywhere(text: str) -> None:
    assert "\0" not in clean_text(text)
    clean_text(text).encode("utf-8")


def test_clean_text_joins_surrogate_pairs_and_replaces_lone_ones() -> None:
    assert clean_text(" \ud83d\ude00 \udc00 ") == "\U0001f600 \ufffd"
