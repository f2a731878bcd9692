"""Orders and what came of them, as JSON in Redis."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from core.creations.order import Order
from core.message import ConversationKey
from core.parts import (
    Activity,
    Choice,
    Ending,
    Finished,
    InLine,
    Making,
    Media,
    Menu,
    Notice,
    Part,
    Poll,
    Progress,
    TextDelta,
    Usage,
)
from core.texts import Amount, Label, Moment, Money, Value

VERSION = 1
"""Of this form: what a newer program wrote is not read."""


class FormError(ValueError):
    """It is damaged, or a newer program wrote it."""


def order_text(order: Order) -> str:
    """An order as JSON."""
    return _dumped({**asdict(order), "conversation": str(order.conversation), "v": VERSION})


def read_order(text: str) -> Order:
    """The inverse. Raises FormError."""
    values = _loaded(text)
    try:
        values["conversation"] = ConversationKey.parse(values["conversation"])
        return Order(**values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormError(f"an order that cannot be read: {type(error).__name__}") from None


def parts_text(parts: list[tuple[Part, str]]) -> str:
    """What came of an order as JSON; beside each part the name of the file that holds its data, or nothing."""
    return _dumped({"v": VERSION, "parts": [_part(part, file) for part, file in parts]})


def read_parts(text: str) -> list[tuple[Part, str]]:
    """The inverse; files without their data. Raises FormError."""
    values = _loaded(text)
    try:
        return [(_read_part(value), str(value.get("file", ""))) for value in values["parts"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormError(f"parts that cannot be read: {type(error).__name__}") from None


def _part(part: Part, file: str) -> dict[str, Any]:
    match part:
        case TextDelta(text):
            return {"kind": "text", "text": text}
        case Media():
            return {
                "kind": "media",
                "name": part.name,
                "mime": part.mime,
                "description": part.description,
                "file": file,
            }
        case Making(activity):
            return {"kind": "making", "activity": activity}
        case InLine(place, seconds):
            return {"kind": "in_line", "place": place, "seconds": seconds}
        case Progress():
            told = {"kind": "progress", "key": part.key, "values": _plain(part.values), "done": part.done}
            if part.preview is None:
                return told
            preview = part.preview
            shown = {"name": preview.name, "mime": preview.mime, "description": preview.description}
            return {**told, "preview": shown, "file": file}
        case Notice(key, values):
            return {"kind": "notice", "key": key, "values": _plain(values)}
        case Menu(rows, instead):
            return {"kind": "menu", "rows": [[asdict(choice) for choice in row] for row in rows], "instead": instead}
        case Poll():
            return {"kind": "poll", **asdict(part)}
        case Finished():
            usage = asdict(part.usage)
            return {"kind": "finished", "ending": part.ending, "usage": usage, "causes": list(part.causes)}


def _read_part(value: Mapping[str, Any]) -> Part:
    match value["kind"]:
        case "text":
            return TextDelta(value["text"])
        case "media":
            return Media(value["name"], value["mime"], b"", value["description"])
        case "making":
            return Making(Activity(value["activity"]))
        case "in_line":
            return InLine(value["place"], value["seconds"])
        case "progress":
            preview: Any = value.get("preview")
            shown = Media(preview["name"], preview["mime"], b"", preview["description"]) if preview else None
            return Progress(value["key"], _values(value["values"]), value["done"], shown)
        case "notice":
            return Notice(value["key"], _values(value["values"]))
        case "menu":
            return Menu(tuple(tuple(Choice(**choice) for choice in row) for row in value["rows"]), value["instead"])
        case "poll":
            options = tuple(value["options"])
            return Poll(value["question"], options, value["correct"], value["explanation"], value["seconds"])
        case "finished":
            return Finished(Ending(value["ending"]), Usage(**value["usage"]), tuple(value["causes"]))
        case kind:
            raise FormError(f"a part of a newer kind: {kind!r}")


def _plain(values: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _plain_one(value) for name, value in values.items()}


def _plain_one(value: Value) -> Any:
    match value:
        case Label() | Amount() | Money():
            return [type(value).__name__, asdict(value)]
        case Moment(at):
            return ["Moment", at.isoformat()]
        case _:
            return value


def _values(values: Mapping[str, Any]) -> dict[str, Value]:
    return {name: _value(value) for name, value in values.items()}


def _value(plain: Any) -> Value:
    match plain:
        case ["Label", fields]:
            return Label(**fields)
        case ["Amount", fields]:
            return Amount(**fields)
        case ["Money", fields]:
            return Money(**fields)
        case ["Moment", at]:
            return Moment(datetime.fromisoformat(at))
        case str() | int():
            return plain
        case _:
            raise FormError("a value of a newer kind")


def _dumped(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _loaded(text: str) -> dict[str, Any]:
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise FormError("no JSON") from None
    if not isinstance(values, dict) or values.pop("v", None) != VERSION:  # pyright: ignore[reportUnknownMemberType]
        raise FormError("of a newer program")
    return values  # pyright: ignore[reportUnknownVariableType]
