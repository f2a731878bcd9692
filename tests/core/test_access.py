"""What is answered at all."""

from __future__ import annotations

from typing import Any

import pytest

from core.access import Reading, decide_reading, decide_refusal
from core.message import Attachment, AttachmentKind, Author, Quote
from core.parts import Notice
from core.settings import ChatSettings
from tests.builders import call, message

PICTURE = Attachment(AttachmentKind.IMAGE, "r")
SOUND = Attachment(AttachmentKind.AUDIO, "r")


def test_bots_and_empty_messages_are_not_answered() -> None:
    bot = Author("9", "Bot", is_bot=True)
    assert decide_reading(message("hi", author=bot)) is Reading.IGNORE
    assert decide_reading(call("help", author=bot)) is Reading.IGNORE
    assert decide_reading(message("")) is Reading.IGNORE
    assert decide_reading(message("hi")) is Reading.ANSWER
    assert decide_reading(message("", unsupported="sticker")) is Reading.ANSWER
    # A mention alone, in a reply.
    assert decide_reading(message("", quote=Quote("9", "Bob", "It rains."))) is Reading.ANSWER
    assert decide_reading(message("", quote=Quote("9", "Bob", ""))) is Reading.IGNORE


@pytest.mark.parametrize(
    ("text", "values", "key"),
    [
        ("hi", {}, None),
        ("", {"attachments": (PICTURE,)}, None),
        ("hi", {"attachments": (SOUND,)}, None),
        ("x" * 20_001, {}, "too_long"),
        ("", {"unsupported": "sticker"}, "unsupported"),
        ("", {"attachments": (SOUND,)}, None),
        ("", {"quote": Quote("9", "Bob", "It rains.")}, None),
    ],
)
def test_what_cannot_be_read_is_told(text: str, values: dict[str, Any], key: str | None) -> None:
    refusal = decide_refusal(message(text, **values), ChatSettings())
    assert (refusal.key if refusal else None) == key
    assert refusal is None or isinstance(refusal, Notice)
