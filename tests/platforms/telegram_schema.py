"""Which methods the Bot API has, with which parameters of which types, down to the fields of nested objects."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tests.platforms.telegram_text import Json, Refusal, wrong

_API: Json = json.loads(Path(__file__).with_name("telegram_api.json").read_text("utf-8"))
NEWER: dict[str, dict[str, str]] = {
    "sendMessageDraft": {"can_stop": "bool", "keep_on_stop": "bool"},
    "sendRichMessageDraft": {"can_stop": "bool", "keep_on_stop": "bool"},
}
"""What later versions than that of ``telegram_api.json`` brought: method or object, its new fields in that notation."""
NEWER_UPDATES = ("stopped_message_generation",)
FIELDS: dict[str, dict[str, str]] = {
    name: fields | NEWER.get(name, {}) for name, fields in (*_API["methods"].items(), *_API["types"].items())
    if isinstance(fields, dict)
}  # fmt: skip
"""Method or object -> its fields: name, with ``!`` where it is required, and types (see ``telegram_api``)."""
CHOICES: dict[str, str] = {name: entry for name, entry in _API["types"].items() if isinstance(entry, str)}
"""Object -> the objects that it may be."""
NAMES = {name.lower(): name for name in _API["methods"]}
"""Methods by the lower case of their name: the server takes any case."""
UPDATES = {name for name in FIELDS["Update"] if not name.startswith("update_id")} | set(NEWER_UPDATES)
DEEP = 16
"""Nobody looks for unknown fields deeper than that."""
_SIMPLE: dict[str, type] = {"int": int, "str": str, "bool": bool}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a request."""

    name: str
    mime: str
    data: bytes


def is_text(method: str, name: str) -> bool:
    """Whether a parameter in a form is taken as it is, and not as JSON."""
    kind = FIELDS[method].get(name, FIELDS[method].get(f"{name}!", "str"))
    return "str" in kind.split("|")


def checked(method: str, given: Json) -> Json:
    """The parameters as the server understands them; raises Refusal, with ``violation``, for wrong ones.

    Files that others name (``attach://``) are no parameters, and are left in.
    """
    named = _attached(given)
    files = {name: value for name, value in given.items() if name in named and isinstance(value, Upload)}
    rest = {name: value for name, value in given.items() if name not in files}
    return _object(method, rest, method) | files


def check_update(update: Json) -> None:
    """Raises Refusal for an update that the real server would not send. Kinds of later versions pass."""
    if not update.keys() & set(NEWER_UPDATES):
        _object("Update", update, "Update")


def unknown_fields(value: Any, kind: str = "Update", depth: int = 0) -> set[str]:
    """Fields that the real server does not know. Tests are short: what is missing, and wrong types, are let pass.

    What is named as from the future is meant.
    """
    kind = kind.rstrip("[]")
    if depth > DEEP:
        return set()
    if isinstance(value, list):
        return {name for item in cast("list[Any]", value) for name in unknown_fields(item, kind, depth + 1)}
    objects = [FIELDS[name] for name in dict.fromkeys(_expanded(kind)) if name in FIELDS]
    if not isinstance(value, dict) or not objects:
        return set()
    words: dict[str, dict[str, None]] = {}
    for name, word in (item for fields in objects for item in fields.items()):
        words.setdefault(name.rstrip("!"), {})[word.rstrip("[]")] = None
    allowed = {name: "|".join(kinds) for name, kinds in words.items()}
    given = {name: item for name, item in cast("Json", value).items() if not name.endswith("_from_the_future")}
    found = {f"{kind}.{name}" for name in given.keys() - allowed.keys()}
    known = [name for name in given if name in allowed]
    return found.union(*(unknown_fields(given[name], allowed[name], depth + 1) for name in known))


def _attached(value: Any) -> set[str]:
    """Names of the files that a value speaks of."""
    if isinstance(value, dict):
        value = list(cast("Json", value).values())
    if isinstance(value, list):
        return {name for item in cast("list[Any]", value) for name in _attached(item)}
    if isinstance(value, str) and value.startswith("attach://"):
        return {value.removeprefix("attach://")}
    return set()


def _object(name: str, given: Json, where: str) -> Json:
    allowed = {field.rstrip("!"): kind for field, kind in FIELDS[name].items()}
    for field in FIELDS[name]:
        if field.endswith("!") and given.get(field[:-1]) is None:
            raise wrong(f"{where}: {field[:-1]} is missing")
    for field in given:
        if field not in allowed:
            raise wrong(f"{where} has no parameter {field}")
    return {field: _value(allowed[field], value, f"{where}.{field}") for field, value in given.items()}


def _value(kind: str, given: Any, where: str) -> Any:
    if kind.endswith("[]"):
        if not isinstance(given, list):
            raise wrong(f"{where} is no list")
        items = cast("list[Any]", given)
        return [_value(kind[:-2], item, f"{where}[{number}]") for number, item in enumerate(items)]
    kinds, is_list = _expanded(kind), isinstance(given, list)
    if is_list and (lists := [name for name in kinds if name.endswith("[]")]):
        return _value(lists[0], given, where)
    if isinstance(given, dict):
        return _one_of([name for name in kinds if name in FIELDS], cast("Json", given), kind, where)
    for one in kinds:
        if type(given) is _SIMPLE.get(one) and not (one == "str" and "int" in kinds and _is_number(given)):
            return given
        if one == "int" and isinstance(given, str) and _is_number(given):
            return int(given)
        if one == "float" and type(given) in (int, float):
            return float(given)
        if (one == "file" and isinstance(given, Upload)) or (one[0] == "=" and given == one[1:]):
            return given
    raise wrong(f"{where} is no {kind}: {str(given)[:60]!r}")


def _one_of(names: list[str], given: Json, kind: str, where: str) -> Json:
    """As the object that it is; a fixed text (its type) chooses, else the first that fits."""
    refusal = wrong(f"{where} is no {kind}")
    for name in names:
        fixed = {f.rstrip("!"): k[1:] for f, k in FIELDS[name].items() if k[0] == "="}
        if any(given.get(field) != text for field, text in fixed.items()):
            continue
        try:
            return _object(name, given, where)
        except Refusal as error:
            refusal = error
    raise refusal


def _expanded(kind: str) -> list[str]:
    out: list[str] = []
    for name in kind.split("|"):
        out += _expanded(CHOICES[name]) if name in CHOICES else [name]
    return out


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
