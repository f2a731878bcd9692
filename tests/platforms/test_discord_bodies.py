"""Which messages the fake Discord takes: their text, rows, components, files."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.platforms.discord_calls import V2, button, call, choices, row, words
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.discord_wire import Limits

REPLY = {"message_id": "1", "fail_if_not_exists": False}
BODIES: list[tuple[dict[str, Any], int, int | None]] = [
    ({"content": "x" * 2000}, 200, None),
    ({"content": "x" * 2001}, 400, 50035),
    ({"content": "  "}, 400, 50006),
    ({"content": "x", "nonce": "n" * 26}, 400, 50035),
    ({"content": 5}, 400, 50035),
    ({"content": "x", "flags": "4"}, 400, 50035),
    ({"content": "x", "message_reference": {"message_id": "1"}}, 400, 50035),
    ({"content": "x", "message_reference": REPLY}, 200, None),
    ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, 400, 50035),
    ({"content": "x", "allowed_mentions": {"parse": ["nobody"]}}, 400, 50035),
    ({"content": "x", "components": [row()]}, 400, 50035),
    ({"content": "x", "components": [button()]}, 400, 50035),
    ({"content": "x", "components": [row(button("a"), button("a"))]}, 400, 50035),
    ({"content": "x", "components": [row(button(label=""))]}, 400, 50035),
    ({"content": "x", "components": [row(button(label="", emoji={"name": "👍"}))]}, 200, None),
    ({"content": "x", "components": [row(button(style=5, url="https://a.example"))]}, 400, 50035),
    ({"content": "x", "components": [row(choices(25))]}, 200, None),
    ({"content": "x", "components": [row(choices(26))]}, 400, 50035),
    ({"content": "x", "components": [row(choices(2, max_values=3))]}, 400, 50035),
    ({"content": "x", "components": [row(choices(2), button())]}, 400, 50035),
    ({"content": "x", "components": [row(button(str(n))) for n in range(6)]}, 400, 50035),
    ({"content": "x", "components": [words("y")]}, 400, 50035),
]
SHOWN: list[tuple[list[dict[str, Any]], int]] = [
    ([words("x" * 4000)], 200),
    ([words("x" * 3000), {"type": 17, "components": [words("x" * 1001)]}], 400),
    ([words("x")] * 40, 200),
    ([words("x")] * 41, 400),
    ([{"type": 17, "components": [words("x")] * 40}], 400),
    ([{"type": 17, "components": [{"type": 17, "components": [words("x")]}]}], 400),
    ([{"type": 9, "components": [words("x")], "accessory": button()}], 200),
    ([{"type": 9, "components": [words("x")]}], 400),
    ([{"type": 9, "components": [words("x")] * 4, "accessory": button()}], 400),
    ([{"type": 12, "items": [{"media": {"url": "https://a.example/a.png"}}] * 10}], 200),
    ([{"type": 12, "items": [{"media": {"url": "https://a.example/a.png"}}] * 11}], 400),
    ([{"type": 12, "items": [{"media": {"url": "attachment://nowhere.png"}}]}], 400),
    ([{"type": 13, "file": {"url": "https://a.example/a.txt"}}], 400),
    ([row(button(str(n))) for n in range(6)], 200),
    ([words(" ")], 400),
    ([], 400),
]


@pytest.mark.parametrize(("body", "status", "code"), BODIES)
async def test_message_bodies(
    client: aiohttp.ClientSession, discord: FakeDiscord, body: dict[str, Any], status: int, code: int | None
) -> None:
    found, answer, _ = await call(client, discord, "POST", f"/channels/{discord.world.general}/messages", body)
    assert (found, answer.get("code")) == (status, code)
    discord.pardon()


@pytest.mark.parametrize(("components", "status"), SHOWN)
async def test_messages_that_are_made_of_components(
    client: aiohttp.ClientSession, discord: FakeDiscord, components: list[dict[str, Any]], status: int
) -> None:
    path = f"/channels/{discord.world.general}/messages"
    found, answer, _ = await call(client, discord, "POST", path, {"flags": V2, "components": components})
    assert (found, answer.get("code")) == (status, None if status == 200 else 50035)
    discord.pardon()


async def test_both_kinds_of_messages_are_never_mixed(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    discord.wire.limits = Limits(edits=0)
    path = f"/channels/{discord.world.general}/messages"
    made = {"flags": V2, "components": [words("finished"), row(button())]}
    assert (await call(client, discord, "POST", path, {**made, "content": "x"}))[1]["code"] == 50035
    assert (await call(client, discord, "POST", path, {**made, "embeds": [{"title": "x"}]}))[1]["code"] == 50035
    plain = (await call(client, discord, "POST", path, {"content": "growing"}))[1]["id"]
    assert (await call(client, discord, "PATCH", f"{path}/{plain}", made))[1]["code"] == 50035
    assert (await call(client, discord, "PATCH", f"{path}/{plain}", made))[1]["errors"]
    status, answer, _ = await call(client, discord, "PATCH", f"{path}/{plain}", {**made, "content": None})
    assert (status, answer["content"], answer["flags"] & V2) == (200, "", V2)
    assert [component["id"] for component in answer["components"]] == [1, 2]
    assert [text for _, text in discord.world.find(plain).history] == ["growing", "finished"]
    backs: list[dict[str, Any]] = [{"content": "x"}, {"content": "x", "components": []}, {"flags": 0}]
    for back in backs:
        assert (await call(client, discord, "PATCH", f"{path}/{plain}", back))[1]["code"] == 50035
    assert (await call(client, discord, "PATCH", f"{path}/{plain}", {"components": [words("y")]}))[0] == 200


async def test_files_are_where_components_show_them(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    gallery = {"type": 12, "items": [{"media": {"url": "attachment://a.png"}}]}
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("payload_json", json.dumps({"flags": V2, "components": [gallery]}), content_type="application/json")
    for number, name in enumerate(("a.png", "b.png")):
        form.add_field(f"files[{number}]", b"x", filename=name, content_type="image/png")
    path = f"/channels/{discord.world.general}/messages"
    async with client.post(discord.api_base + path, data=form) as response:
        answer = await response.json()
    kept = {file["filename"]: file for file in answer["attachments"]}
    assert answer["components"][0]["items"][0]["media"]["url"] == kept["a.png"]["url"]
    assert discord.pardon() == ["the file b.png is shown nowhere"]
    only = {"attachments": [{"id": kept["b.png"]["id"]}], "components": [words("x")]}
    _, answer, _ = await call(client, discord, "PATCH", f"{path}/{answer['id']}", only)
    assert [file["filename"] for file in answer["attachments"]] == ["b.png"]
