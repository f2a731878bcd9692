from __future__ import annotations

from typing import Any

import pytest

from bots.telegram_bot.contents import attachments_of
from bots.telegram_bot.quotes import files_of
from bots.telegram_bot.raw import Me
from core.message import Attachment, AttachmentKind

FILE = {"file_id": "f", "file_unique_id": "u", "file_size": 1000}
THUMBNAIL = {"file_id": "t", "file_unique_id": "v", "file_size": 90, "width": 320, "height": 180}
CLIP = {**FILE, "mime_type": "video/mp4", "width": 640, "height": 360, "duration": 4}


@pytest.mark.parametrize(
    ("raw", "attachment"),
    [
        (
            {"voice": {**FILE, "mime_type": "audio/ogg", "duration": 61}},
            Attachment(AttachmentKind.AUDIO, "f", "", "audio/ogg", 1000, 61),
        ),
        (
            {"video_note": {**FILE, "length": 240, "duration": 9}},
            Attachment(AttachmentKind.VIDEO, "f", "", "", 1000, 9),
        ),
        (
            {"document": {**FILE, "mime_type": "audio/x-wav", "file_name": "talk.wav"}},
            Attachment(AttachmentKind.AUDIO, "f", "talk.wav", "audio/x-wav", 1000),
        ),
        (
            {"document": {**FILE, "mime_type": "application/pdf", "file_name": "menu.pdf"}},
            Attachment(AttachmentKind.DOCUMENT, "f", "menu.pdf", "application/pdf", 1000),
        ),
        # An animation has no sound: it is the picture that stands for it.
        (
            {"animation": {**CLIP, "thumbnail": THUMBNAIL}, "document": CLIP},
            Attachment(AttachmentKind.IMAGE, "t", "animation.jpg", "image/jpeg", 90),
        ),
    ],
)
def test_files_are_told_by_what_is_in_them(raw: dict[str, Any], attachment: Attachment) -> None:
    assert attachments_of(raw, 10_000_000) == (attachment,)


def test_a_reply_to_the_bots_own_voice_brings_no_sound() -> None:
    voice = {"voice": {**FILE, "mime_type": "audio/ogg", "duration": 61}, "chat": {"id": -1, "type": "group"}}
    me = Me("4242", "parley_bot")
    ours, theirs = ({**voice, "from": {"id": user, "first_name": "A"}} for user in (4242, 5))
    assert files_of({}, ours, me, 10_000_000, private=False) == ()
    (heard,) = files_of({}, theirs, me, 10_000_000, private=False)
    assert heard.quoted
