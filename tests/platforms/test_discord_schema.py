"""What the fake Discord takes is what Discord's description of its API says, and a little that it does not say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.platforms.discord_schema import (
    LETTERS,
    OBJECTS,
    OTHER_TYPES,
    ROUTES,
    TOLD,
    Json,
    check_message,
    route_of,
    wrong_with,
)
from tests.platforms.discord_server import FakeDiscord

MESSAGES = "/channels/5/messages"
CALLBACK = "/interactions/5/abc/callback"
COMMANDS = "/applications/5/commands"
EMPTY: list[Json] = [{}]
OPTION: Json = {"type": 3, "name": "text", "description": "Words"}


def wrong(method: str, path: str, body: Any = None, **query: str) -> list[str]:
    """Fields and what is wrong with them."""
    return [f"{found.path or found.where}: {found.what}" for found in wrong_with(method, path, query, body)]


def named(node: Any) -> Iterator[str]:
    """The objects that a schema speaks of."""
    if isinstance(node, dict):
        about = cast("Json", node)
        if isinstance(about.get("$ref"), str):
            yield about["$ref"]
        for value in about.values():
            yield from named(value)
    elif isinstance(node, list):
        for item in cast("list[Any]", node):
            yield from named(item)


def test_everything_that_is_named_is_known() -> None:
    assert {*named(ROUTES), *named(OBJECTS)} == OBJECTS.keys()
    assert all(field in OBJECTS[name]["properties"] for name, field in (*OTHER_TYPES, *LETTERS))
    assert all(re.fullmatch(r"(GET|POST|PUT|PATCH|DELETE) /\S+", route) for route in ROUTES)


def test_a_call_takes_the_route_with_the_fewest_open_parts() -> None:
    webhook = "/webhooks/{webhook_id}/{webhook_token}/messages"
    assert route_of("PATCH", "/webhooks/5/abc/messages/@original") == f"PATCH {webhook}/@original"
    assert route_of("PATCH", "/webhooks/5/abc/messages/6") == f"PATCH {webhook}/{{message_id}}"
    assert route_of("GET", "/users/@me") == "GET /users/@me"
    assert route_of("GET", "/users/me") is None
    assert route_of("PUT", "/channels/5/messages/6/reactions/%F0%9F%91%8D/@me")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        (
            "POST",
            MESSAGES,
            {"content": "x", "nonce": "n", "enforce_nonce": True, "message_reference": {"message_id": "1"}},
        ),
        (
            "POST",
            MESSAGES,
            {"content": "x", "message_reference": {"message_id": 1, "channel_id": 2}, "attachments": [{"id": 0}]},
        ),
        ("PATCH", f"{MESSAGES}/6", {"content": None, "flags": 32768, "components": [{"type": 10, "content": "x"}]}),
        ("POST", CALLBACK, {"type": 5, "data": {"flags": 64}}),
        ("POST", CALLBACK, {"type": 6}),
        ("POST", CALLBACK, {"type": 8, "data": {"choices": [{"name": "a", "value": "b"}]}}),
        ("PUT", COMMANDS, [{"name": "Draw", "type": 3, "default_member_permissions": "8192", "contexts": [0, 1, 2]}]),
        ("PUT", COMMANDS, [{"name": "chat", "description": "d", "options": [{**OPTION, "choices": None}]}]),
        ("POST", "/attachments/refresh-urls", {"attachment_urls": ["https://a.example"]}),
        ("POST", f"{MESSAGES}/6/threads", {"name": "x", "auto_archive_duration": 1440}),
        ("POST", "/channels/5/typing", {}),
    ],
)
def test_what_is_right(method: str, path: str, body: Any) -> None:
    assert wrong(method, path, body) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "found"),
    [
        ("POST", MESSAGES, {"content": 5}, "content: no ['string', 'null']: '5'"),
        ("POST", MESSAGES, {"content": "x" * 2001}, "content: 2001, must be 2000 or fewer"),
        ("POST", MESSAGES, {"tts": 1}, "tts: no ['boolean', 'null']: '1'"),
        ("POST", MESSAGES, {"flags": True}, "flags: no ['integer', 'null']: 'True'"),
        ("POST", MESSAGES, {"message_reference": {}}, "message_reference.message_id: is missing"),
        ("POST", MESSAGES, {"message_reference": {"message_id": "x"}}, "message_reference.message_id: 'x' is not like"),
        ("POST", MESSAGES, {"allowed_mentions": {"parse": ["all"]}}, "allowed_mentions.parse.0: 'all' fits none"),
        ("POST", MESSAGES, {"embeds": EMPTY * 11}, "embeds: 11, must be 10 or fewer"),
        ("POST", MESSAGES, {"components": [{"type": 10}]}, "components.0.content: is missing"),
        ("POST", MESSAGES, {"components": [{"type": 18, "label": "x"}]}, "components.0: \"{'type': 18"),
        (
            "POST",
            MESSAGES,
            {"components": [{"type": 9, "components": [{"type": 10, "content": "x"}]}]},
            "components.0.accessory: is missing",
        ),
        ("PUT", COMMANDS, [{"name": "x" * 33}], "0.name: 33, must be 32 or fewer"),
        ("PUT", COMMANDS, [{"name": "x", "options": [{**OPTION, "min_value": 1}]}], "0.options.0.min_value: unknown"),
        ("POST", CALLBACK, {"type": 99}, "POST /interactions/{interaction_id}/{interaction_token}/callback: \"{'type'"),
        ("POST", CALLBACK, {"type": 9, "data": {"custom_id": "a", "title": "t"}}, "data.components: is missing"),
        ("POST", "/channels/5/typing", {"long": True}, "POST /channels/{channel_id}/typing: takes no body"),
    ],
)
def test_what_is_wrong(method: str, path: str, body: Any, found: str) -> None:
    (said,) = wrong(method, path, body)
    assert said.startswith(found)


def test_fields_of_the_address() -> None:
    assert wrong("GET", MESSAGES, None, limit="100", after="5") == []
    assert wrong("POST", CALLBACK, {"type": 5}, with_response="true") == []
    assert len(wrong("GET", MESSAGES, None, limit="0")) == 1
    assert len(wrong("GET", MESSAGES, None, limit="ten", first="1")) == 2


def test_messages_have_the_fields_that_discord_tells() -> None:
    assert {name for fields in TOLD.values() for names in fields.values() for name in names} <= TOLD.keys()
    author: Json = {"id": "1", "username": "alice", "shine_from_the_future": 1}
    message: Json = {"id": "1", "content": "x", "author": author, "guild_id": "2", "member": {"nick": None}}
    snapshot: Json = {"message": {"content": "y", "attachments": [{"id": "3", "filename": "a.txt"}]}}
    assert check_message(message | {"message_snapshots": [snapshot]}) == []
    snapshot["message"]["attachments"][0]["name"] = author["nick"] = "x"
    assert check_message(message | {"message_snapshots": [snapshot], "text": "x"}) == [
        "Discord tells of no MessageAttachmentResponse.name",
        "Discord tells of no MessageResponse.text",
        "Discord tells of no UserResponse.nick",
    ]


async def test_what_people_do_is_told_as_discord_tells_it() -> None:
    async with FakeDiscord() as discord:
        discord.voice_message(b"x")
        discord.sticker()
        discord.forward("text")
        discord.forum_post("title", "text")
        said = discord.say("hi", discord.world.general, mention=True)
        discord.say("so", discord.world.general, reply_to=said.id, ping=True)
        discord.unfurl(said.id)
        discord.edit(said.id, "ho")
        assert discord.violations == []
        discord.say("odd", shape="round")
        assert discord.pardon() == ["Discord tells of no MessageResponse.shape"]
