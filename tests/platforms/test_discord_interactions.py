"""Commands, components, suggestions and modals in the fake Discord, and the answers that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.platforms.discord_calls import button, call, choices, row
from tests.platforms.discord_gateway import GUILDS
from tests.platforms.discord_plays import File
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_wire import Limits
from tests.platforms.discord_world import Interaction


async def test_an_interaction_is_answered_once_and_in_time(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    made = discord.slash("chat", {}, discord.world.general)
    callback = f"/interactions/{made.id}/{made.token}/callback"
    original = f"/webhooks/{discord.world.application_id}/{made.token}/messages/@original"
    assert (await call(client, discord, "PATCH", original, {"content": "x"}))[1]["code"] == 10015
    assert (await call(client, discord, "POST", callback, {"type": 5}))[0] == 204
    assert (await call(client, discord, "POST", callback, {"type": 5}))[1]["code"] == 40060
    assert (await call(client, discord, "PATCH", original, {"content": "x"}))[0] == 200
    late = discord.slash("chat", {}, discord.world.general)
    discord.rest.callback_seconds = 0
    assert (await call(client, discord, "POST", f"/interactions/{late.id}/{late.token}/callback", {"type": 5}))[1][
        "code"
    ] == 10062
    discord.rest.token_seconds = 0
    assert (await call(client, discord, "PATCH", original, {"content": "y"}))[1]["code"] == 50027


def modal(*components: dict[str, Any]) -> dict[str, Any]:
    labelled = [{"type": 18, "label": "L", "component": component} for component in components]
    return {"type": 9, "data": {"custom_id": "form", "title": "Form", "components": labelled}}


INPUT: dict[str, Any] = {"type": 4, "custom_id": "text", "style": 2, "min_length": 2, "max_length": 10}
UPLOAD: dict[str, Any] = {"type": 19, "custom_id": "files", "max_values": 2, "required": False}


async def begin(client: aiohttp.ClientSession, discord: FakeDiscord, made: Interaction, body: Any) -> tuple[int, Any]:
    path = f"/interactions/{made.id}/{made.token}/callback"
    return (await call(client, discord, "POST", path, body))[:2]


async def test_each_kind_of_interaction_has_its_answers(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    world = discord.world
    option = {"type": 3, "name": "model", "description": "d", "autocomplete": True}
    commands = [{"name": "chat", "description": "d", "options": [option]}]
    await call(client, discord, "PUT", f"/applications/{world.application_id}/commands", commands)
    asked: dict[str, Any] = {"content": "pick", "components": [row(choices(3)), row(button())]}
    message = (await call(client, discord, "POST", f"/channels/{world.general}/messages", asked))[1]["id"]

    async def allowed(make: Callable[[], Interaction]) -> list[int]:
        bodies: list[dict[str, Any]] = [{"type": kind, "data": {"content": "x"}} for kind in (4, 5, 6, 7)]
        bodies += [{"type": 8, "data": {"choices": [{"name": "a", "value": "a"}]}}, modal(INPUT)]
        return [body["type"] for body in bodies if (await begin(client, discord, make(), body))[0] == 204]

    assert await allowed(lambda: discord.slash("chat", {}, world.general)) == [4, 5, 9]
    assert await allowed(lambda: discord.press(message, "a")) == [4, 5, 6, 7, 9]
    await call(client, discord, "PATCH", f"/channels/{world.general}/messages/{message}", asked)
    assert await allowed(lambda: discord.choose(message, "2")) == [4, 5, 6, 7, 9]
    assert await allowed(lambda: discord.suggest("chat", "model", {"model": "gp"})) == [8]
    shown = discord.slash("chat", {}, world.general)
    await begin(client, discord, shown, modal(INPUT))
    assert await allowed(lambda: discord.submit(shown, {"text": "hello"})) == [4, 5]
    discord.pardon()


async def test_a_modal_comes_back_as_it_was_filled_in(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    asked = discord.slash("chat", {}, discord.world.general)
    for wrong in (modal(), modal({**INPUT, "max_length": 4001}), modal(INPUT, INPUT), modal(*[UPLOAD] * 6)):
        assert (await begin(client, discord, asked, wrong))[1]["code"] == 50035
    assert (await begin(client, discord, asked, modal(INPUT, UPLOAD)))[0] == 204
    for text in ("x", "x" * 11, ""):
        with pytest.raises(ValueError, match="characters"):
            discord.submit(asked, {"text": text})
    async with client.ws_connect(discord.gateway_url) as socket:
        await socket.send_json({"op": 2, "d": {"token": TOKEN, "intents": GUILDS}})
        assert [(await socket.receive_json())["t"] for _ in range(3)] == [None, "READY", "GUILD_CREATE"]
        made = discord.submit(asked, {"text": "hello", "files": [File("a.txt", "text/plain", b"abc")]})
        told = (await socket.receive_json())["d"]
    assert (told["type"], told["token"], told["data"]["custom_id"]) == (5, made.token, "form")
    text, files = (row["component"] for row in told["data"]["components"])
    assert text["value"] == "hello"
    file = told["data"]["resolved"]["attachments"][files["values"][0]]
    async with client.get(file["url"]) as response:
        assert (file["filename"], await response.read()) == ("a.txt", b"abc")
    assert told["member"]["permissions"] == str(
        discord.world.permissions.of(discord.world.alice, discord.world.general)
    )
    assert told["authorizing_integration_owners"] == {"0": discord.world.guild["id"]}
    discord.pardon()


async def test_an_app_that_a_person_brought_along_may_only_answer(
    client: aiohttp.ClientSession, discord: FakeDiscord
) -> None:
    discord.wire.limits = Limits(edits=0)
    world = discord.world
    guild = world.add_guild("Elsewhere")["id"]
    room = world.add_channel(guild, "general")
    world.permissions.gone.add((guild, world.bot))
    made = discord.slash("chat", {"text": "hi"}, room, own_install=True)
    assert (await begin(client, discord, made, {"type": 5}))[0] == 204
    webhook = f"/webhooks/{world.application_id}/{made.token}"
    statuses = [(await call(client, discord, "POST", webhook, {"content": str(n)}))[0] for n in range(7)]
    # The first one fills in what was deferred.
    assert statuses == [200] * 6 + [400]
    assert (await call(client, discord, "POST", f"/channels/{room}/messages", {"content": "x"}))[1]["code"] == 50001
