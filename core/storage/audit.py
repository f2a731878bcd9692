"""What is kept about a change of settings: who, when, what from, what to. Pure.

An entry is written by the same script as the change (``core/storage/records.py``): there is none without the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

Fields = dict[str, Any]
Path = tuple[str, ...]
"""A field's name, behind it that of a field inside it: ``("allowance", "day_money")``."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that was changed. None stands for nothing chosen."""

    path: Path
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One change."""

    actor: str
    """Id of the person who made it."""
    name: str
    """What they were called then."""
    version: int
    """Which the settings had afterwards."""
    differences: tuple[Difference, ...]
    is_undoable: bool = True
    at: float = 0.0
    """Unix seconds by Redis' clock."""
    undone_in: str = ""
    """Of one that took another back by a command: its turn, which may be begun anew after a crash."""

    def to_json(self) -> str:
        """Without the time: the script writes that."""
        rows = [[*each.path, each.before, each.after] for each in self.differences]
        kept = {"by": self.actor, "name": self.name, "v": self.version, "undo": self.is_undoable, "fields": rows}
        kept |= {"in": self.undone_in} if self.undone_in else {}
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def read_entry(at: float, text: str) -> Entry | None:
    """An entry as it is kept; None for one that a newer program wrote in another form."""
    try:
        kept = json.loads(text)
        differences = tuple(Difference(tuple(row[:-2]), row[-2], row[-1]) for row in kept["fields"])
        return Entry(kept["by"], kept["name"], int(kept["v"]), differences, bool(kept["undo"]), at, kept.get("in", ""))
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What differs between two records' fields, where what is missing was not chosen."""
    old, new = dict(_flat(before)), dict(_flat(after))
    return tuple(
        Difference(path, old.get(path), new.get(path))
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )


def reverted(fields: Mapping[str, Any], differences: Sequence[Difference]) -> Fields | None:
    """A record's fields as before a change; None where one of them is not as the change had left it."""
    now = dict(_flat(fields))
    if any(now.get(each.path) != each.after for each in differences):
        return None
    for each in differences:
        if each.before is None:
            now.pop(each.path, None)
        else:
            now[each.path] = each.before
    deep: Fields = {}
    for path, value in now.items():
        inner = deep
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return deep


def _flat(fields: Mapping[str, Any], path: Path = ()) -> list[tuple[Path, Any]]:
    found: list[tuple[Path, Any]] = []
    for name, value in fields.items():
        if isinstance(value, dict):
            found += _flat(cast("Fields", value), (*path, name))
        elif value is not None:
            found.append(((*path, name), value))
    return found
