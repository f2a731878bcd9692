"""What a Telegram message holds besides text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.message import Attachment, AttachmentKind, clean_text

DOWNLOAD_LIMIT = 20_000_000
"""Bytes that a bot may download from Telegram's own server."""
_MEDIA = {
    "voice": AttachmentKind.AUDIO,
    "audio": AttachmentKind.AUDIO,
    "video": AttachmentKind.VIDEO,
    "video_note": AttachmentKind.VIDEO,
    "animation": AttachmentKind.VIDEO,
    "document": AttachmentKind.DOCUMENT,
}
"""In this order: an animation carries its file a second time, as a document."""
_UNREADABLE = {
    "sticker": "sticker",
    "location": "location",
    "venue": "location",
    "contact": "contact",
    "poll": "poll",
    "dice": "dice",
    "game": "game",
    "story": "story",
    "checklist": "checklist",
    "paid_media": "paid post",
    "invoice": "invoice",
    "giveaway": "giveaway",
}
_LONGEST_NAME = 128


def attachments_of(raw: Mapping[str, Any], image_limit: int) -> tuple[Attachment, ...]:
    """The message's file, if any; of a photo the largest size that has at most ``image_limit`` bytes."""
    if raw.get("photo"):
        return (_photo(raw["photo"], min(image_limit, DOWNLOAD_LIMIT)),)
    for name, kind in _MEDIA.items():
        if name in raw:
            return (_file(raw[name], kind),)
    return ()


def unsupported_in(raw: Mapping[str, Any]) -> str:
    """What kind of content that cannot be read the message holds; empty for service messages."""
    return next((word for name, word in _UNREADABLE.items() if name in raw), "")


def _photo(sizes: list[dict[str, Any]], limit: int) -> Attachment:
    by_area = sorted(sizes, key=lambda size: int(size.get("width", 0)) * int(size.get("height", 0)))
    fitting = [size for size in by_area if int(size.get("file_size") or 0) <= limit]
    best = fitting[-1] if fitting else by_area[0]
    return Attachment(AttachmentKind.IMAGE, best["file_id"], "photo.jpg", "image/jpeg", int(best.get("file_size") or 0))


def _file(file: dict[str, Any], kind: AttachmentKind) -> Attachment:
    mime = str(file.get("mime_type") or "")
    if kind is AttachmentKind.DOCUMENT and mime.startswith("image/"):
        kind = AttachmentKind.IMAGE
    name = clean_text(str(file.get("file_name") or ""))[:_LONGEST_NAME]
    return Attachment(kind, file["file_id"], name, mime, int(file.get("file_size") or 0))
