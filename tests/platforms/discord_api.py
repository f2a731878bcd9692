"""Makes ``discord_api.json`` from Discord's own description of its HTTP API.

    python -m tests.platforms.discord_api SPEC.json

SPEC.json is ``openapi.json`` of the discord-api-spec project (see ``discord_api.note.md``). What is kept: the routes
that a chat bot may use, with their query fields and bodies, and the objects that these hold, as JSON schemas without
their prose. ``$ref`` is an object's name alone; a list of known numbers or texts stands where it is used, as ``enum``.
Of the messages that Discord tells there are but the fields, with the objects that they may hold.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any, cast

FILE = Path(__file__).with_suffix(".json")
Json = dict[str, Any]
KEPT = re.compile(
    r"/(users/@me|users/@me/channels|users/\{user_id\}|applications/@me|oauth2/applications/@me|gateway|gateway/bot"
    r"|applications/\{application_id\}(/guilds/\{guild_id\})?/commands(/\{command_id\})?"
    r"|channels/\{channel_id\}(/typing|/webhooks|/threads|/thread-members/@me|/messages(/bulk-delete)?)?"
    r"|channels/\{channel_id\}(/permissions/\{overwrite_id\}|/messages/pins/\{message_id\})"
    r"|channels/\{channel_id\}/messages/\{message_id\}(/threads|/reactions/\{emoji_name\}(/@me|/\{user_id\})?)?"
    r"|guilds/\{guild_id\}(/channels|/roles|/threads/active|/members/search|/members/\{user_id\}|/members/@me|/bans/\{user_id\})?"
    r"|guilds/\{guild_id\}(/invites|/auto-moderation/rules(/\{rule_id\})?|/requests(/\{request_id\})?)"
    r"|interactions/\{interaction_id\}/\{interaction_token\}/callback"
    r"|webhooks/\{webhook_id\}/\{webhook_token\}(/messages/(@original|\{message_id\}))?)"
)
METHODS = ("get", "post", "put", "patch", "delete")
SIZES = {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"}
LEFT_OUT = re.compile("LaunchActivity|SocialLayer|PongInter|CustomClientTheme")
"""What a chat bot has nothing to do with."""


class Reduction:
    """Nodes of the description without what is not needed; ``objects`` grows with those that are named."""

    def __init__(self, schemas: Json) -> None:
        self._schemas = schemas
        self.objects: Json = {}

    def of(self, node: Any) -> Any:
        """A schema as it is kept."""
        if isinstance(node, list):
            items = cast("list[Json]", node)
            return [self.of(item) for item in items if not LEFT_OUT.search(str(item.get("$ref")))]
        if not isinstance(node, dict):
            return node
        node = cast("Json", node)
        if "$ref" in node:
            return self._named(node["$ref"].rpartition("/")[2])
        if values := known_values(node):
            return {"enum": values}
        if node.get("enum") == [] and "allOf" in node:
            return self.of(node["allOf"][0])
        if "anyOf" in node:
            node = {**node, "oneOf": node["anyOf"]}
        made = {
            key: value for key, value in node.items() if key in SIZES | {"type", "const", "enum", "required", "pattern"}
        }
        made |= {key: self.of(node[key]) for key in ("items", "oneOf", "additionalProperties") if key in node}
        if "properties" in node:
            fields = cast("Json", node["properties"]).items()
            made["properties"] = {key: self.of(value) for key, value in fields}
        return made

    def _named(self, name: str) -> Json:
        found = self._schemas[name]
        if values := known_values(found):
            return {"enum": values}
        if name not in self.objects:
            self.objects[name] = {}  # It may hold itself.
            self.objects[name] = self.of(found)
        return {"$ref": name}


class Told:
    """What Discord tells: the fields of its objects, each with the objects that it may hold."""

    def __init__(self, schemas: Json) -> None:
        self._schemas = schemas
        self.objects: dict[str, dict[str, list[str]]] = {}

    def add(self, name: str) -> None:
        """An object, and those in it."""
        properties: Json = self._schemas[name].get("properties", {})
        if name in self.objects or not properties:
            return
        self.objects[name] = {field: sorted(set(self._named(node))) for field, node in properties.items()}
        for inner in {one for names in self.objects[name].values() for one in names}:
            self.add(inner)

    def _named(self, node: Any) -> list[str]:
        if isinstance(node, list):
            return [name for item in cast("list[Any]", node) for name in self._named(item)]
        if not isinstance(node, dict):
            return []
        node = cast("Json", node)
        if "$ref" in node:
            name: str = node["$ref"].rpartition("/")[2]
            return [name] if "properties" in self._schemas[name] else []
        return [name for value in node.values() for name in self._named(value)]


def known_values(node: Json) -> list[Any]:
    """The values of a type that is a list of them."""
    choices: list[Json] = node.get("oneOf") or []
    return [choice["const"] for choice in choices] if choices and all("const" in choice for choice in choices) else []


def reduced(spec: Json) -> Json:
    """The part of the description that is kept."""
    reduction = Reduction(spec["components"]["schemas"])
    routes: Json = {}
    for path, entry in spec["paths"].items():
        if not KEPT.fullmatch(path):
            continue
        for method in METHODS:
            if method in entry:
                routes[f"{method.upper()} {path}"] = _route(reduction, entry[method])
    told = Told(spec["components"]["schemas"])
    told.add("MessageResponse")
    objects, answers = dict(sorted(reduction.objects.items())), dict(sorted(told.objects.items()))
    return {"version": spec["info"]["version"], "routes": routes, "objects": objects, "told": answers}


def _route(reduction: Reduction, operation: Json) -> Json:
    query = {p["name"]: reduction.of(p["schema"]) for p in operation.get("parameters", ()) if p["in"] == "query"}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    made: Json = {"query": query} if query else {}
    return made | ({"body": reduction.of(body)} if body else {})


def written(api: Json) -> str:
    """A line for each route and object."""
    groups = [
        f' "{group}": {{\n'
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in api[group].items())
        + "\n }"
        for group in ("routes", "objects", "told")
    ]
    return "{\n" + f' "version": {json.dumps(api["version"])},\n' + ",\n".join(groups) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    api = reduced(json.loads(parser.parse_args().spec.read_text("utf-8")))
    FILE.write_text(written(api), "utf-8")
    print(f"{len(api['routes'])} routes and {len(api['objects'])} objects of version {api['version']}")


if __name__ == "__main__":
    main()
