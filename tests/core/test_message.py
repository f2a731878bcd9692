"""Incoming values keep their form in Redis, and bad text is made good."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import EntryError
from core.message import (
    Attachment,
    AttachmentKind,
    Author,
    CommandCall,
    ConversationKey,
    Deletion,
    Lasting,
    Message,
    Platform,
    Quote,
    clean_text,
)
from core.message_json import VERSION, from_json, stand_in, to_json

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
    quote=Quote("9", "Bob", "before", chosen=True),
    attachments=(Attachment(AttachmentKind.IMAGE, "ref", "a.png", "image/png", 12),),
    edited=True,
    space="5",
    place="#general in Club",
    album="13000",
    also=("11", "12"),
    addressed=False,
)

CALL = CommandCall(
    KEY,
    "1",
    "u1",
    Author("7", "Ada"),
    "explain",
    {"text": "x"},
    reply_to="9",
    attachments=FULL.attachments,
    quote=FULL.quote,
    alone=True,
    most_pages=5,
)


@pytest.mark.parametrize(
    "value",
    [FULL, CALL, Deletion(KEY, ("1", "2"), "u3")],
    ids=lambda value: type(value).__name__,
)
def test_json_and_back(value: Lasting) -> None:
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


def test_the_version_before_can_be_read() -> None:
    values = json.loads(to_json(FULL))
    assert values.pop("v") == VERSION
    values["author"].pop("is_owner", None)  # which came with version 2
    assert from_json(json.dumps(values)) == FULL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"type": "message"}',
        '{"type": "poll", "v": 2}',
        "[" * 100_000,
        *[
            json.dumps({**json.loads(to_json(FULL)), **change})
            for change in (
                {"v": VERSION + 1},
                {"v": "2"},
                {"conversation": "discord:1"},
                {"author": "Ada"},
                {"attachments": ["a"]},
                {"new": 1},
            )
        ],
    ],
)
def test_what_cannot_be_read_is_an_error_and_its_author_can_be_told(text: str) -> None:
    with pytest.raises(EntryError):
        from_json(text)
    told = stand_in(text, KEY)
    assert told.conversation == KEY
    assert told.text == ""
    assert told.id in ("", FULL.id)


def test_a_stand_in_knows_whom_to_tell() -> None:
    told = stand_in(json.dumps({**json.loads(to_json(FULL)), "v": 99}), KEY)
    assert (told.id, told.author.id, told.author.language, told.space) == ("10", "7", "zh-CN", "5")
