"""A space's settings as one TOML file: written, read back, and compared before anything is changed. Pure.

All fields stand in the file, ``auto`` where nobody chose. What a file leaves out stays as it is. Roles and rights are
not in it: whoever gives those has to hold them, which a file cannot show.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from core.people import fields
from core.people.fields import BY_NAME, FIELDS, LONGEST_FOUND, Field, Refused, Terms
from core.people.spaces import SpaceSettings
from core.texts import one_line

FORMAT = 1
"""Raised with every change that an older program would misread."""
MOST_BYTES = 64 * 1024
MIME = "application/toml"
HEAD = "# Settings of a space, written by Parley. auto: nobody chose, so the configuration holds.\n"


@dataclass(frozen=True, slots=True)
class Step:
    """One field as it is and as a file wants it."""

    field: Field
    before: Any
    after: Any


def written(settings: SpaceSettings, space: str) -> bytes:
    """The file. ``space`` is only told, so that a person sees whose it is."""
    import tomli_w

    values = {field.name: fields.written(field, fields.get(settings, field)) for field in FIELDS}
    return (HEAD + tomli_w.dumps({"format": FORMAT, "space": space, "settings": values})).encode()


def read(data: bytes, terms: Terms) -> Mapping[str, Any]:
    """What a file wants: the fields by their names, as they are kept. Raises Refused with one sentence; the whole file
    is good or none of it."""
    if len(data) > MOST_BYTES:
        raise Refused("import_large", most=MOST_BYTES // 1024)
    try:
        # Money is exact; who nests tables without end is told like for any other mistake.
        found: Mapping[str, Any] = tomllib.loads(data.decode("utf-8"), parse_float=Decimal)
    except UnicodeDecodeError:
        raise Refused("import_broken", cause="UTF-8") from None
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Refused("import_broken", cause=one_line(str(error) or type(error).__name__, LONGEST_FOUND)) from None
    number = found.get("format")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise Refused("import_foreign")
    if number > FORMAT:
        raise Refused("import_newer", found=number, known=FORMAT)
    values = found.get("settings")
    if not isinstance(values, dict):
        raise Refused("import_foreign")
    wanted = cast("Mapping[str, object]", values)
    others = [name for name in found if name not in ("format", "space", "settings")]
    if unknown := [*others, *(name for name in wanted if name not in BY_NAME)]:
        raise Refused("import_unknown", found=one_line(unknown[0], LONGEST_FOUND))
    return {name: fields.read(BY_NAME[name], value, terms) for name, value in wanted.items()}


def steps(settings: SpaceSettings, wanted: Mapping[str, Any]) -> Sequence[Step]:
    """What would change, in the order of the table."""
    found = [Step(field, fields.get(settings, field), wanted[field.name]) for field in FIELDS if field.name in wanted]
    return [step for step in found if step.before != step.after]


def applied(settings: SpaceSettings, wanted: Mapping[str, Any]) -> SpaceSettings:
    """The settings as a file wants them."""
    for name, value in wanted.items():
        settings = fields.put(settings, BY_NAME[name], value)
    return settings
