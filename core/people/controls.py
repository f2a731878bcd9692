"""How answers are sampled where people say so: for a conversation, or in one call. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from core.models.chat import AS_USUAL, Sampling
from core.people.persona import BOUNDS, Persona, PersonaError, check_sampling, sampled

MOST_CANDIDATES = 6
"""Answers side by side: what one page holds, and what a person can compare."""
COUNT = "n"
NAMES = (*BOUNDS, "stop", COUNT)
"""What can be chosen, by the names of OpenAI's interface where it has them."""
_GIVEN = re.compile(r"(?P<name>[a-z_]{1,20})=(?:\"(?P<quoted>[^\"\n]*)\"|(?P<plain>\S+))(?:\s+|$)")


@dataclass(frozen=True, slots=True)
class Controls:
    """What somebody chose; None and nothing: what holds anyway."""

    sampling: Sampling = AS_USUAL
    max_tokens: int | None = None
    """The longest answer."""
    count: int | None = None
    """Answers made side by side."""

    @property
    def values(self) -> dict[str, Any]:
        """What was chosen, by :data:`NAMES`."""
        found = {field.name: getattr(self.sampling, field.name) for field in fields(Sampling)}
        found |= {"max_tokens": self.max_tokens, COUNT: self.count}
        return {name: value for name, value in found.items() if value not in (None, ())}

    def above(self, other: Controls) -> Controls:
        """These, and of the others what these do not say."""
        if NONE in (self, other):
            return self if other == NONE else other
        return _of({**other.values, **self.values})


NONE = Controls()


def changed(controls: Controls, name: str, value: str) -> Controls:
    """With another value, as people typed it; an empty one takes it back. Raises PersonaError."""
    if name == COUNT:
        if value.strip() and not re.fullmatch(rf"[1-{MOST_CANDIDATES}]", value.strip(), re.ASCII):
            raise PersonaError("persona_bounds", field=COUNT, least="1", most=str(MOST_CANDIDATES))
        return replace(controls, count=int(value) if value.strip() else None)
    if name not in NAMES:
        raise PersonaError("sampling_no_value", field=name[:40], names=", ".join(NAMES))
    whole = sampled(Persona(sampling=controls.sampling, max_tokens=controls.max_tokens), name, value)
    check_sampling(whole.sampling, whole.max_tokens)
    return replace(controls, sampling=whole.sampling, max_tokens=whole.max_tokens)


def of_values(values: Mapping[str, str]) -> Controls:
    """What a call gives, of whatever names. Raises PersonaError."""
    controls = NONE
    for name in NAMES:
        if values.get(name, "").strip():
            controls = changed(controls, name, values[name])
    return controls


def written(controls: Controls) -> str:
    """The form in which a conversation keeps them; empty for nothing."""
    return json.dumps(controls.values, ensure_ascii=False, separators=(",", ":")) if controls.values else ""


def read(text: str) -> Controls:
    """The inverse of :func:`written`. Never fails: what cannot be read, or is out of bounds, was never chosen."""
    try:
        values: Any = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return NONE
    if not isinstance(values, dict):
        return NONE
    controls = NONE
    for name, value in cast("dict[str, Any]", values).items():
        typed = " | ".join(map(str, cast("list[Any]", value))) if isinstance(value, list) else str(value)
        try:
            controls = changed(controls, name, typed)
        except PersonaError:
            continue
    return controls


def typed(text: str, names: Iterable[str] = NAMES) -> tuple[dict[str, str], str]:
    """What stands before the words typed after a command, like ``temperature=0.2``, and those words."""
    given: dict[str, str] = {}
    rest, wanted = text.lstrip(), frozenset(names)
    while (found := _GIVEN.match(rest)) and found["name"] in wanted:
        given[found["name"]] = found["plain"] if found["quoted"] is None else found["quoted"]
        rest = rest[found.end() :]
    return given, rest


def _of(values: Mapping[str, Any]) -> Controls:
    own = {field.name for field in fields(Sampling)}
    sampling = Sampling(**{name: value for name, value in values.items() if name in own})
    return Controls(sampling, values.get("max_tokens"), values.get(COUNT))
