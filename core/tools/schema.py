"""What a model wrote as a tool's arguments, read and held against the tool's schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from core.tools.tool import Arguments, ToolError

LONGEST_ARGUMENTS = 20_000
"""Characters."""
DEEPEST = 20
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def read(written: str, schema: Mapping[str, Any]) -> Arguments:
    """Raises ToolError with what is wrong, for the model to do better."""
    if len(written) > LONGEST_ARGUMENTS:
        raise ToolError("The arguments are too long.")
    try:
        value: Any = json.loads(written or "{}", parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise ToolError("The arguments are no valid JSON.") from None
    if not isinstance(value, dict):
        raise ToolError("The arguments must be a JSON object.")
    try:
        problem = problem_of(value, schema, "arguments")
    except (TypeError, AttributeError):
        # The schema itself is wrong, as foreign servers' may be: then the tool has to look.
        problem = ""
    if problem:
        raise ToolError(f"Wrong arguments: {problem}.")
    return cast("dict[str, Any]", value)


def problem_of(value: Any, schema: Mapping[str, Any], at: str, depth: int = 0) -> str:
    """What of JSON Schema is used for tools is held to; the rest, a tool looks at by itself. Empty: all is well."""
    kind = schema.get("type")
    kinds = cast("list[str]", kind if isinstance(kind, list) else [kind] if isinstance(kind, str) else [])
    if kinds and not any(_is(value, name) for name in kinds):
        return f"{at} must be {' or '.join(kinds)}"
    choices: Any = schema.get("enum")
    if isinstance(choices, list) and value not in cast("list[Any]", choices):
        return f"{at} must be one of {json.dumps(choices, ensure_ascii=False)[:300]}"
    if depth > DEEPEST:
        return f"{at} is too deep"
    if isinstance(value, dict):
        return _problem_inside(cast("dict[str, Any]", value), schema, at, depth)
    if isinstance(value, list):
        items: Any = schema.get("items")
        inside = cast("list[Any]", value) if isinstance(items, dict) else []
        of_each = cast("dict[str, Any]", items)
        return next((p for i, v in enumerate(inside) if (p := problem_of(v, of_each, f"{at}[{i}]", depth + 1))), "")
    return _problem_of_size(value, schema, at)


def _problem_inside(value: Mapping[str, Any], schema: Mapping[str, Any], at: str, depth: int) -> str:
    known = cast("Mapping[str, Any]", schema.get("properties") or {})
    for name in cast("list[str]", schema.get("required") or []):
        if name not in value:
            return f"{at}.{name} is missing"
    for name, inner in value.items():
        if name not in known:
            if schema.get("additionalProperties") is False:
                return f"{at} has no {name[:60]!r}"
            continue
        if isinstance(known[name], dict) and (problem := problem_of(inner, known[name], f"{at}.{name}", depth + 1)):
            return problem
    return ""


def _problem_of_size(value: Any, schema: Mapping[str, Any], at: str) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(least, int | float) and value < least:
            return f"{at} must be at least {least}"
        if isinstance(most, int | float) and value > most:
            return f"{at} must be at most {most}"
    longest = schema.get("maxLength")
    if isinstance(value, str) and isinstance(longest, int) and len(value) > longest:
        return f"{at} must have at most {longest} characters"
    return ""


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, (object,)))


def _no_number(name: str) -> Any:
    raise ValueError(name)
