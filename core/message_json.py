"""The form of what comes in, as Redis keeps it: JSON without what is its default anyway."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

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
    Quote,
)

VERSION = 2
"""The form of everything kept in Redis. It is raised with every change that the version before could not read; what
is written carries it, and it and the version before it are read (docs/decisions/0006)."""
_KINDS: dict[str, type[Message] | type[CommandCall] | type[Deletion]] = {
    "message": Message,
    "call": CommandCall,
    "deletion": Deletion,
}
_NAMES = {cls: name for name, cls in _KINDS.items()}


def to_json(incoming: Lasting) -> str:
    """The form in which the mailbox keeps it."""
    values: dict[str, Any] = {"v": VERSION, "type": _NAMES[type(incoming)], "conversation": str(incoming.conversation)}
    for name, default in _FIELDS[type(incoming)]:
        if (value := getattr(incoming, name)) != default:
            values[name] = value
    return compact(values)


def compact(values: dict[str, Any]) -> str:
    """JSON without blanks; values of this module's classes in it without their defaults."""
    return _ENCODER.encode(values)


def _fields_of(value: object) -> dict[str, Any]:
    """A nested value's fields; what is its default anyway is left out."""
    return {name: v for name, default in _FIELDS[type(value)] if (v := getattr(value, name)) != default}


# ``dataclasses.asdict`` copies all that it meets, which took twice as long as the rest of posting a message.
_FIELDS: dict[type, tuple[tuple[str, Any], ...]] = {
    cls: tuple((f.name, {} if f.name == "options" else f.default) for f in fields(cls) if f.name != "conversation")
    for cls in (Message, CommandCall, Deletion, Author, Quote, Attachment)
}
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_fields_of)


def from_json(text: str) -> Lasting:
    """The inverse of :func:`to_json`, also for the version before. Raises EntryError for anything else."""
    values = _object(text)
    if not values:
        raise EntryError("A waiting entry is damaged: it is no JSON object.")
    version = values.pop("v", 1)
    if version not in (VERSION, VERSION - 1):
        raise EntryError(f"A waiting entry has version {version!r}; this program reads {VERSION - 1} and {VERSION}.")
    try:
        return _incoming(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EntryError(f"A waiting entry is damaged: {type(error).__name__}.") from error


def _incoming(values: dict[str, Any]) -> Lasting:
    cls = _KINDS[values.pop("type")]
    values["conversation"] = ConversationKey.parse(values["conversation"])
    if "author" in values:
        values["author"] = Author(**values["author"])
    if "ids" in values:
        values["ids"] = tuple(values["ids"])
    if "also" in values:
        values["also"] = tuple(values["also"])
    if "within" in values:
        values["within"] = tuple(values["within"])
    if values.get("quote"):
        values["quote"] = Quote(**values["quote"])
    if "attachments" in values:
        values["attachments"] = tuple(Attachment(AttachmentKind(a.pop("kind")), **a) for a in values["attachments"])
    return cls(**values)


def stand_in(text: str, conversation: ConversationKey) -> Message:
    """For an entry that cannot be read, a message without text: enough to tell its author. Never fails."""
    values = _object(text)
    said: Any = values.get("author")
    author = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    return Message(
        conversation,
        _text(values, "id"),
        _text(values, "update"),
        Author(_text(author, "id"), _text(author, "name"), language=_text(author, "language")),
        "",
        0.0,
        private=values.get("private") is True,
        space=_text(values, "space"),
        place=_text(values, "place"),
    )


def _object(text: str) -> dict[str, Any]:
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", values) if isinstance(values, dict) else {}


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
