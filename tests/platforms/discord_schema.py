"""Which routes Discord's API has, with which fields of which types, down to the fields of nested objects.

It says what is wrong with a call whatever the channel is like; what depends on the channel is in ``discord_rest``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

Json = dict[str, Any]
_API: Json = json.loads(Path(__file__).with_name("discord_api.json").read_text("utf-8"))
_URLS: Json = {"type": "array", "minItems": 1, "maxItems": 50, "items": {"type": "string"}}
MORE_ROUTES: Json = {
    "POST /attachments/refresh-urls": {
        "body": {"type": "object", "required": ["attachment_urls"], "properties": {"attachment_urls": _URLS}}
    },
}
"""Routes that Discord's documentation has and its description does not."""
OBJECTS: Json = _API["objects"]
ROUTES: Json = _API["routes"] | MORE_ROUTES
NEWER: Mapping[str, Json] = {}
"""Object -> fields that came after ``discord_api.json`` was made."""
OTHER_TYPES: Mapping[tuple[str, str], Json] = {
    # The documentation says so, and so do all libraries: a text, since 64 bits do not fit into every number.
    ("ApplicationCommandUpdateRequest", "default_member_permissions"): {"type": ["string", "integer", "null"]},
    ("ApplicationCommandCreateRequest", "default_member_permissions"): {"type": ["string", "integer", "null"]},
    # Which upload is meant: its number, which the documentation's examples give as one.
    ("MessageAttachmentRequest", "id"): {"type": ["string", "integer"]},
}
"""Where Discord takes something else than its description says: object and field."""
LETTERS: Mapping[tuple[str, str], int] = {
    # 4,000 are for people who pay.
    ("MessageCreateRequest", "content"): 2000,
    ("MessageEditRequestPartial", "content"): 2000,
}
"""Texts that are shorter for bots."""
TOLD: Mapping[str, Mapping[str, list[str]]] = _API["told"]
"""Object -> its fields -> the objects that each may hold."""
OF_EVENTS = {"guild_id", "member", "channel_type"}
"""Of a message as the gateway tells it."""
NEWER_TOLD: Mapping[str, frozenset[str]] = {}
"""Object -> fields that came after ``discord_api.json`` was made, or that its description leaves out."""
UNKNOWN_ROUTE, UNKNOWN_FIELD = "unknown route", "unknown field"
_SIMPLE: Mapping[str, type] = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a call. Discord lets some of it pass: fields that it does not know are ignored."""

    where: str
    """The route, then the path to the field with dots between."""
    what: str
    is_refused: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"

    @property
    def path(self) -> str:
        """Of the field alone."""
        return self.where.partition(".")[2]


@cache
def _templates() -> list[tuple[str, re.Pattern[str], str]]:
    """Method, path and route; those with fewer open parts come first (``@original`` before any id)."""
    found: list[tuple[str, re.Pattern[str], str]] = []
    for route in sorted(ROUTES, key=lambda name: name.count("{")):
        method, path = route.split(" ")
        parts = [_part(part) for part in path.split("/")]
        found.append((method, re.compile("/".join(parts)), route))
    return found


def _part(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    # A webhook's or interaction's token may be anything.
    return r"\d{1,20}" if part.endswith("_id}") else "[^/]+"


def route_of(method: str, path: str) -> str | None:
    """The route that a call takes; None for one that Discord, or a chat bot, does not have."""
    for known, pattern, route in _templates():
        if known == method and pattern.fullmatch(path):
            return route
    return None


def wrong_with(method: str, path: str, query: Mapping[str, str], body: Any) -> list[Wrong]:
    """What is wrong with a call."""
    route = route_of(method, path)
    if route is None:
        return [Wrong(f"{method} {path}", UNKNOWN_ROUTE, is_refused=False)]
    entry: Json = ROUTES[route]
    known: Json = entry.get("query", {})
    found = [Wrong(f"{route} ?{name}", UNKNOWN_FIELD, is_refused=False) for name in query.keys() - known.keys()]
    for name in query.keys() & known.keys():
        found += _value(known[name], _from_query(known[name], query[name]), f"{route} ?{name}")
    if "body" in entry:
        return found + _value(entry["body"], body, route)
    return found + ([Wrong(route, "takes no body", is_refused=False)] if body else [])


def unknown_fields(value: Any, *names: str) -> set[str]:
    """Fields of a message that Discord would not tell, deep inside as well. Tests are short: what is missing is let
    pass, and what is named as from the future is meant."""
    if isinstance(value, list):
        return {found for item in cast("list[Any]", value) for found in unknown_fields(item, *names)}
    if not isinstance(value, dict) or not names:
        return set()
    found = set[str]()
    for field, inner in cast("Json", value).items():
        holding = [TOLD[name][field] for name in names if field in TOLD[name]]
        if not holding and not any(field in NEWER_TOLD.get(name, ()) for name in names):
            found.add(f"{names[0]}.{field}")
        found |= unknown_fields(inner, *dict.fromkeys(name for row in holding for name in row))
    return {name for name in found if not name.endswith("_from_the_future")}


def check_message(message: Json) -> list[str]:
    """What is wrong with a message that the gateway is to tell."""
    told = {field: value for field, value in message.items() if field not in OF_EVENTS}
    return [f"Discord tells of no {field}" for field in sorted(unknown_fields(told, "MessageResponse"))]


def _from_query(schema: Json, text: str) -> Any:
    """A text of the address as what it stands for."""
    kinds = schema.get("type", "string")
    if "integer" in kinds and text.removeprefix("-").isdecimal():
        return int(text)
    return {"true": True, "false": False}.get(text, text) if "boolean" in kinds else text


def _value(schema: Json, given: Any, where: str) -> list[Wrong]:
    if "$ref" in schema:
        return _named(schema["$ref"], given, where)
    if "oneOf" in schema:
        return _one_of(schema["oneOf"], given, where)
    if "enum" in schema and given not in schema["enum"] and not (given is None and "null" in schema.get("type", ())):
        return [Wrong(where, f"{given!r} is none of {schema['enum']}")]
    if "type" in schema and not _is_a(given, schema["type"]):
        return [Wrong(where, f"no {schema['type']}: {str(given)[:60]!r}")]
    if isinstance(given, str):
        return _size(schema, len(given), "Length", where) + _pattern(schema, given, where)
    if isinstance(given, list):
        items = cast("list[Any]", given)
        inner = [_value(schema.get("items", {}), item, f"{where}.{number}") for number, item in enumerate(items)]
        return _size(schema, len(items), "Items", where) + [wrong for found in inner for wrong in found]
    if isinstance(given, dict):
        return _fields("", schema, cast("Json", given), where)
    return _size(schema, given, "imum", where) if given is not None and not isinstance(given, bool) else []


def _named(name: str, given: Any, where: str) -> list[Wrong]:
    if _is_id(name, given):
        return []
    schema: Json = OBJECTS[name]
    if isinstance(given, dict) and "properties" in schema:
        return _fields(name, schema, cast("Json", given), where)
    return _value(schema, given, where)


def _fields(name: str, schema: Json, given: Json, where: str) -> list[Wrong]:
    known: Json = schema.get("properties", {}) | NEWER.get(name, {})
    found = [Wrong(f"{where}.{field}", "is missing") for field in schema.get("required", ()) if field not in given]
    for field, value in given.items():
        inner = known.get(field, schema.get("additionalProperties"))
        if inner is None:
            found.append(Wrong(f"{where}.{field}", UNKNOWN_FIELD, is_refused=False))
            continue
        inner = OTHER_TYPES.get((name, field), inner)
        most = LETTERS.get((name, field))
        found += _value(inner | ({"maxLength": most} if most else {}), value, f"{where}.{field}")
    return found


def _one_of(choices: list[Json], given: Any, where: str) -> list[Wrong]:
    """By the alternative that it is; what distinguishes objects is mostly a number of their type."""
    fitting = [choice for choice in choices if _could_be(choice, given)]
    tried = [_value(choice, given, where) for choice in fitting]
    if not tried:
        return [Wrong(where, f"{str(given)[:60]!r} fits none of {len(choices)} possible types")]
    return min(tried, key=len)


def _is_id(name: str, given: Any) -> bool:
    """In a body numbers are taken as well."""
    return name == "SnowflakeType" and type(given) is int


def _could_be(schema: Json, given: Any) -> bool:
    if _is_id(schema.get("$ref", ""), given):
        return True
    schema = OBJECTS[schema["$ref"]] if "$ref" in schema else schema
    if "oneOf" in schema:
        return any(_could_be(choice, given) for choice in schema["oneOf"])
    if isinstance(given, dict):
        fixed = {name: field["enum"] for name, field in schema.get("properties", {}).items() if "enum" in field}
        about = cast("Json", given)
        return "properties" in schema and all(
            about[name] in fixed[name] for name in fixed.keys() & {"type"} & given.keys()
        )
    if "enum" in schema:
        return given in schema["enum"]
    return "type" not in schema or _is_a(given, schema["type"])


def _is_a(given: Any, kinds: str | list[str]) -> bool:
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind == "null" and given is None:
            return True
        if kind == "number" and type(given) in (int, float):
            return True
        if kind in _SIMPLE and type(given) is _SIMPLE[kind]:
            return True
    return False


def _size(schema: Json, size: float, what: str, where: str) -> list[Wrong]:
    """``what`` is the end of the schema's words: minLength, maxItems, minimum."""
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if least is not None and size < least:
        return [Wrong(where, f"{size}, must be {least} or more")]
    if most is not None and size > most:
        return [Wrong(where, f"{size}, must be {most} or fewer")]
    return []


def _pattern(schema: Json, given: str, where: str) -> list[Wrong]:
    pattern = schema.get("pattern")
    return [Wrong(where, f"{given[:60]!r} is not like {pattern}")] if pattern and not re.search(pattern, given) else []
