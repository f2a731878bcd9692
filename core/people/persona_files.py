"""Files that personas come from and go to: TOML, one persona in each. Pure."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from pydantic import ValidationError

from core.models.chat import Sampling
from core.people.persona import Persona, PersonaError, checked_whole

FORMAT = 1
"""Of the files that people import and export."""
LONGEST_FILE = 64 * 1024
"""Bytes of a file that is imported."""


def from_toml(data: bytes) -> Persona:
    """One that was exported. Raises PersonaError: nothing of a file that is not wholly understood is taken."""
    if len(data) > LONGEST_FILE:
        raise PersonaError("persona_file_long", count=LONGEST_FILE // 1024)
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        # Among them what is no UTF-8, no TOML, or a number of thousands of digits.
        raise PersonaError("persona_file_broken") from None
    if not isinstance(version := values.get("format", 1), int) or version > FORMAT:
        raise PersonaError("persona_file_newer")
    unknown = sorted(set(values) - set(Persona.model_fields) - {"format"})
    sampling: Any = values.get("sampling", {})
    if isinstance(sampling, dict):
        unknown += sorted(set(cast("dict[str, Any]", sampling)) - {field.name for field in fields(Sampling)})
    if unknown:
        raise PersonaError("persona_no_value", field=str(unknown[0])[:40])
    try:
        return checked_whole(read(values))
    except ValidationError as error:
        raise PersonaError("persona_file_value", field=str(error.errors()[0]["loc"][0])[:40]) from None


def to_toml(persona: Persona) -> str:
    """What :func:`from_toml` reads."""
    values = persona.model_dump(mode="json", exclude_defaults=True, include=set(Persona.model_fields))
    sampling: dict[str, Any] = values.pop("sampling", {})
    tables = {name: values.pop(name) for name in list(values) if isinstance(values[name], dict)}
    tables["sampling"] = {name: value for name, value in sampling.items() if value not in (None, [])}
    lines = [f"format = {FORMAT}", *(f"{name} = {_toml(value)}" for name, value in values.items())]
    for name, table in tables.items():
        if table:
            lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    # A string of JSON is one of TOML but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read(values: Mapping[str, Any]) -> Persona:
    return Persona.model_validate({name: value for name, value in values.items() if name != "format"}, strict=False)
