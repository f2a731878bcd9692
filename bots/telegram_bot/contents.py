"""What a Telegram message holds besides text: its files, and what else can be read, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bots.telegram_bot.raw import Raw, chat_name, one_line, part, person
from core.message import Attachment, AttachmentKind, clean_text

DOWNLOAD_LIMIT = 20_000_000
"""Bytes that a bot may download from Telegram's own server."""
_MEDIA = {
    "voice": AttachmentKind.AUDIO,
    "audio": AttachmentKind.AUDIO,
    "video": AttachmentKind.VIDEO,
    "video_note": AttachmentKind.VIDEO,
    "animation": AttachmentKind.IMAGE,
    "document": AttachmentKind.DOCUMENT,
}
"""In this order: an animation carries its file a second time, as a document."""
_SENT_AS_FILES = {"image": AttachmentKind.IMAGE, "audio": AttachmentKind.AUDIO, "video": AttachmentKind.VIDEO}
"""What a document is by its type."""
_MEDIA_WORDS = {
    "photo": "Picture",
    "voice": "Voice message",
    "audio": "Audio file",
    "video": "Video",
    "video_note": "Video message",
    "animation": "Animation",
    "document": "File",
}
_UNREADABLE = {"story": "story", "paid_media": "paid post", "giveaway": "giveaway", "giveaway_winners": "giveaway"}
_LONGEST_NAME = 128
_LONGEST_LINE = 300
"""Of a question, a task, a description: longer than any that Telegram allows in those places but a few."""
_MOST_LINES = 30


def attachments_of(raw: Raw, image_limit: int) -> tuple[Attachment, ...]:
    """The message's file, if any; of a photo the largest size that has at most ``image_limit`` bytes."""
    if raw.get("photo"):
        return (_photo(raw["photo"], min(image_limit, DOWNLOAD_LIMIT)),)
    for name, kind in _MEDIA.items():
        if name in raw:
            return (_still(raw[name]) if name == "animation" else _file(raw[name], kind),)
    return ()


def unsupported_in(raw: Raw) -> str:
    """What kind of content that cannot be read the message holds; empty for service messages."""
    return next((word for name, word in _UNREADABLE.items() if name in raw), "")


def described(raw: Raw) -> str:
    """A place, a contact, a poll and the like in words; empty for text, files and service messages.

    What people chose (names, titles, options) stands in one line each, so that none can look like something else.
    """
    # A venue carries its location a second time.
    return next((describe(raw[name]) for name, describe in _READABLE.items() if raw.get(name)), "")


def mentioned(raw: Raw) -> str:
    """The same for a message that is only referred to: its file by its kind, too."""
    for name, word in _MEDIA_WORDS.items():
        if raw.get(name):
            # A photo is a list of its sizes.
            file: Raw = raw[name] if name != "photo" else {}
            return _bracketed(word, one_line(file.get("file_name") or file.get("title") or ""))
    if raw.get("story"):
        return _bracketed("Story of", chat_name(part(part(raw, "story"), "chat")) or "someone", colon="")
    return described(raw) or _bracketed(unsupported_in(raw).capitalize())


def forwarded(raw: Raw) -> str:
    """Whose message was forwarded, and from when; empty where none was."""
    origin = part(raw, "forward_origin")
    if not origin:
        return ""
    name = origin_name(origin) or "someone"
    return f"[Forwarded from {name}, {datetime.fromtimestamp(int(origin.get('date') or 0), UTC):%d %B %Y}]"


def origin_name(origin: Raw) -> str:
    """Who wrote a message that is forwarded or replied to from another chat."""
    if user := origin.get("sender_user"):
        return person(user).name
    chat = chat_name(part(origin, "sender_chat") or part(origin, "chat"))
    signature = one_line(origin.get("author_signature") or "")
    return one_line(origin.get("sender_user_name") or "") or " in ".join(filter(None, (signature, chat)))


def _bracketed(word: str, text: str = "", *, colon: str = ":") -> str:
    if not word:
        return ""
    return f"[{word}{colon} {text}]" if text else f"[{word}]"


def _line(text: Any) -> str:
    return one_line(str(text or ""), _LONGEST_LINE)


def _listed(head: str, lines: Iterable[str]) -> str:
    return "\n".join((head, *list(lines)[:_MOST_LINES]))


def _coordinates(location: Raw) -> str:
    return f"{float(location['latitude']):.6f}, {float(location['longitude']):.6f}"


def _location(location: Raw) -> str:
    accuracy = float(location.get("horizontal_accuracy") or 0)
    near = f", to {accuracy:.0f} m" if accuracy else ""
    return _bracketed("Live location" if location.get("live_period") else "Location", _coordinates(location) + near)


def _venue(venue: Raw) -> str:
    where = f"{_line(venue.get('title'))}, {_line(venue.get('address'))} ({_coordinates(venue['location'])})"
    return _bracketed("Place", where)


def _contact(contact: Raw) -> str:
    name = one_line(" ".join(filter(None, (contact.get("first_name"), contact.get("last_name")))))
    return _bracketed("Contact", f"{name}, {one_line(str(contact.get('phone_number') or ''))}")


def _poll(poll: Raw) -> str:
    kind = "Quiz" if poll.get("type") == "quiz" else "Poll"
    votes = int(poll.get("total_voter_count") or 0)
    state = f"{votes} votes" + (", closed" if poll.get("is_closed") else "")
    right = set(poll.get("correct_option_ids") or (poll.get("correct_option_id"),))
    lines = [
        f"- {_line(option.get('text'))} ({int(option.get('voter_count') or 0)}{', right' if at in right else ''})"
        for at, option in enumerate(poll.get("options") or ())
    ]
    about = _line(poll.get("description"))
    return _listed(f"[{kind}, {state}: {_line(poll.get('question'))}]", filter(None, (about, *lines)))


def _checklist(checklist: Raw) -> str:
    done = {True: "x", False: " "}
    tasks: Iterable[Raw] = checklist.get("tasks") or ()
    lines = (f"- [{done[bool(task.get('completion_date'))]}] {_line(task.get('text'))}" for task in tasks)
    return _listed(_bracketed("Checklist", _line(checklist.get("title"))), lines)


def _sticker(sticker: Raw) -> str:
    emoji, name = one_line(sticker.get("emoji") or "", 16), one_line(sticker.get("set_name") or "")
    return _bracketed("Sticker", " ".join(filter(None, (emoji, name and f"of the set {name}"))), colon="")


def _dice(dice: Raw) -> str:
    return _bracketed(f"Dice {one_line(str(dice.get('emoji') or ''), 16)}", str(int(dice.get("value") or 0)))


def _titled(word: str) -> Callable[[Raw], str]:
    def describe(raw: Raw) -> str:
        return _bracketed(word, ", ".join(filter(None, (_line(raw.get("title")), _line(raw.get("description"))))))

    return describe


_READABLE: Mapping[str, Callable[[Raw], str]] = {
    "venue": _venue,
    "location": _location,
    "contact": _contact,
    "poll": _poll,
    "checklist": _checklist,
    "sticker": _sticker,
    "dice": _dice,
    "game": _titled("Game"),
    "invoice": _titled("Invoice"),
}


def _photo(sizes: list[dict[str, Any]], limit: int) -> Attachment:
    by_area = sorted(sizes, key=lambda size: int(size.get("width", 0)) * int(size.get("height", 0)))
    fitting = [size for size in by_area if int(size.get("file_size") or 0) <= limit]
    best = fitting[-1] if fitting else by_area[0]
    return Attachment(AttachmentKind.IMAGE, best["file_id"], "photo.jpg", "image/jpeg", int(best.get("file_size") or 0))


def _still(animation: dict[str, Any]) -> Attachment:
    """The picture that stands for an animation: it has no sound, and models see pictures."""
    small = animation.get("thumbnail")
    if not small:
        return _file(animation, AttachmentKind.VIDEO)
    return Attachment(
        AttachmentKind.IMAGE, small["file_id"], "animation.jpg", "image/jpeg", _number(small, "file_size")
    )


def _file(file: dict[str, Any], kind: AttachmentKind) -> Attachment:
    mime = str(file.get("mime_type") or "")
    if kind is AttachmentKind.DOCUMENT:
        kind = _SENT_AS_FILES.get(mime.partition("/")[0], kind)
    name = clean_text(str(file.get("file_name") or ""))[:_LONGEST_NAME]
    return Attachment(kind, file["file_id"], name, mime, _number(file, "file_size"), _number(file, "duration"))


def _number(file: dict[str, Any], name: str) -> int:
    return int(file.get(name) or 0)
