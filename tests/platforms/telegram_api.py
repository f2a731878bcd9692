"""Makes ``telegram_api.json`` from a machine-readable description of the Bot API.

    python -m tests.platforms.telegram_api SPEC.json

SPEC.json is ``api.json`` of the telegram-bot-api-spec project (see ``telegram_api.note.md``). What is kept: each method
that a chat bot may use with its parameters, and the objects that these hold. ``name!`` is required; types are ``int``,
``float``, ``str``, ``bool``, ``file``, an object's name, ``=text`` for a fixed text, ``a|b`` for one of them and
``…[]`` for a list.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")
Json = dict[str, Any]
NAMES = {"Integer": "int", "Float": "float", "String": "str", "Boolean": "bool", "True": "bool", "InputFile": "file"}
LEFT_OUT = re.compile(
    "business|sticker|gift|story|passport|game|star|invoice|shipping|precheckout|managedbot|verif|verify|webapp|"
    "suggested|subscription|paidmedia|emoji|personal|prepared",
    re.IGNORECASE,
)
"""Methods about what Parley has nothing to do with."""


def kind(alternatives: list[str]) -> str:
    """The types that a field may have, in our notation."""
    lists = [name.removeprefix("Array of ") for name in alternatives if name.startswith("Array of ")]
    if lists and len(lists) < len(alternatives):
        raise ValueError(f"neither a list nor none: {alternatives}")
    if lists:
        return f"{kind(lists)}[]"
    return "|".join(NAMES.get(name, name) for name in alternatives)


def choice(alternatives: list[str]) -> str:
    """The objects that one may be; of those that may be a list of themselves, too."""
    return "|".join(kind([name]) for name in alternatives)


def fields(entry: Json) -> dict[str, str]:
    """Name -> type of a method's parameters or an object's fields."""
    out: dict[str, str] = {}
    for field in entry.get("fields", ()):
        fixed = re.search(r"(?:must be|always) [\"“*]?([a-z0-9_]+)[\"”*]?$", field["description"])
        is_fixed = fixed and field["types"] == ["String"] and field["required"]
        out[field["name"] + "!" * field["required"]] = f"={fixed[1]}" if is_fixed and fixed else kind(field["types"])
    return out


def reduced(spec: Json) -> Json:
    """The part of the description that is kept."""
    methods = {name: fields(entry) for name, entry in spec["methods"].items() if not LEFT_OUT.search(name)}
    types: Json = {}
    waiting = [word for method in methods.values() for word in method.values()] + ["Update"]
    while waiting:
        for name in re.findall(r"\w+", waiting.pop()):
            entry = spec["types"].get(name)
            if entry and name not in types:
                types[name] = choice(entry["subtypes"]) if "subtypes" in entry else fields(entry)
                waiting += [types[name]] if isinstance(types[name], str) else types[name].values()
    return {"version": spec["version"], "methods": methods, "types": dict(sorted(types.items()))}


def written(api: Json) -> str:
    """A line for each method and type."""
    groups = [
        f' "{group}": {{\n'
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in api[group].items())
        + "\n }"
        for group in ("methods", "types")
    ]
    return "{\n" + f' "version": {json.dumps(api["version"])},\n' + ",\n".join(groups) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    api = reduced(json.loads(parser.parse_args().spec.read_text("utf-8")))
    FILE.write_text(written(api), "utf-8")
    print(f"{len(api['methods'])} methods and {len(api['types'])} types of {api['version']}")


if __name__ == "__main__":
    main()
