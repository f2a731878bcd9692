"""The fake Discord refuses, limits and forgets as the real one does; what tests rely on is tested here."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest

from tests.platforms.discord_gateway import DIRECT_MESSAGES, GUILD_MESSAGES, GUILDS
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_wire import Limits

HEADERS = {"Authorization": f"Bot {TOKEN}", "User-Agent": "DiscordBot (https://parley.invalid, 1)"}


@pytest.fixture
async def discord() -> AsyncGenerator[FakeDiscord]:
    async with FakeDiscord() as server:
        yield server


@pytest.fixture
async def client() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        yield session


async def call(
    client: aiohttp.ClientSession, discord: FakeDiscord, method: str, path: str, body: Any = None
) -> tuple[int, Any, dict[str, str]]:
    async with client.request(method, discord.api_base + path, json=body) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else None, dict(response.headers)


BODIES: list[tuple[dict[str, Any], int, int | None]] = [
    ({"content": "x" * 2000}, 200, None),
    ({"content": "x" * 2001}, 400, 50035),
    ({"content": "  "}, 400, 50006),
    ({"content": "x", "nonce": "n" * 26}, 400, 50035),
    ({"content": "x", "message_reference": {"message_id": "1"}}, 400, 50035),
    ({"content": "x", "message_reference": {"message_id": "1", "fail_if_not_exists": False}}, 200, None),
    ({"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, 400, 50035),
    ({"content": "x", "components": [{"type": 1, "components": []}]}, 400, 50035),
    ({"content": "x", "components": [{"type": 2, "style": 2, "label": "a", "custom_id": "a"}]}, 400, 50035),
]


@pytest.mark.parametrize(("body", "status", "code"), BODIES)
async def test_message_bodies(
    client: aiohttp.ClientSession, discord: FakeDiscord, body: dict[str, Any], status: int, code: int | None
) -> None:
    found, answer, _ = await call(client, discord, "POST", f"/channels/{discord.world.general}/messages", body)
    assert (found, answer.get("code")) == (status, code)


async def test_who_may_do_what(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    said = discord.say("hi", discord.world.general)
    path = f"/channels/{discord.world.general}/messages/{said.id}"
    assert (await call(client, discord, "PATCH", path, {"content": "x"}))[1]["code"] == 50005
    assert (await call(client, discord, "GET", "/channels/5/messages"))[1]["code"] == 10003
    assert (await call(client, discord, "GET", f"/channels/{discord.world.general}/messages/5"))[1]["code"] == 10008
    async with aiohttp.ClientSession(headers={**HEADERS, "Authorization": "Bot other"}) as other:
        assert (await call(other, discord, "GET", "/users/@me"))[0] == 401
    assert discord.violations == []
    await call(client, discord, "GET", "/nowhere")
    assert discord.violations == ["unknown route GET /nowhere"]


async def test_a_bots_pings_follow_what_it_allows(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    world = discord.world
    body: dict[str, Any] = {"content": f"@everyone <@{world.alice}>"}
    only_everyone, nobody = {"parse": ["everyone"]}, {"parse": list[str]()}
    choices: list[dict[str, Any]] = [{}, {"allowed_mentions": only_everyone}, {"allowed_mentions": nobody}]
    for more in choices:
        await call(client, discord, "POST", f"/channels/{world.general}/messages", {**body, **more})
    assert [m.pinged for m in discord.by_bot()] == [["@everyone", world.alice], ["@everyone"], []]


async def test_limits_of_a_channel(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    path = f"/channels/{discord.world.general}/messages"
    answers = [await call(client, discord, "POST", path, {"content": "x"}) for _ in range(6)]
    assert [status for status, _, _ in answers] == [200] * 5 + [429]
    assert [headers["X-RateLimit-Remaining"] for _, _, headers in answers] == ["4", "3", "2", "1", "0", "0"]
    _, body, headers = answers[-1]
    assert 4 < body["retry_after"] <= 5
    assert body["global"] is False
    assert "Via" in headers
    other = discord.world.add_channel(discord.world.guild["id"], "other")
    assert (await call(client, discord, "POST", f"/channels/{other}/messages", {"content": "x"}))[0] == 200


async def test_the_limit_of_everything(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    discord.wire.limits = Limits(everything=3)
    answers = [await call(client, discord, "GET", "/users/@me") for _ in range(4)]
    assert [status for status, _, _ in answers] == [200] * 3 + [429]
    assert answers[-1][1]["global"] is True
    assert answers[-1][2]["X-RateLimit-Scope"] == "global"
    made = discord.slash("chat", {}, discord.world.general)
    callback = f"/interactions/{made.id}/{made.token}/callback"
    assert (await call(client, discord, "POST", callback, {"type": 5}))[0] == 204


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


async def test_history_is_listed_newest_first(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    ids = [discord.say(str(number), discord.world.general).id for number in range(5)]
    path = f"/channels/{discord.world.general}/messages"
    expected = {"": ids[::-1], f"?after={ids[0]}&limit=2": ids[2:0:-1], f"?before={ids[3]}&limit=2": ids[2:0:-1]}
    for query, listed in expected.items():
        _, messages, _ = await call(client, discord, "GET", path + query)
        assert [m["id"] for m in messages] == listed


async def test_without_the_intent_texts_are_left_out(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    async with client.ws_connect(discord.gateway_url) as socket:
        assert (await socket.receive_json())["op"] == 10
        intents = GUILDS | GUILD_MESSAGES | DIRECT_MESSAGES
        await socket.send_json({"op": 2, "d": {"token": TOKEN, "intents": intents}})
        assert [(await socket.receive_json())["t"] for _ in range(2)] == ["READY", "GUILD_CREATE"]
        discord.say("secret", discord.world.general)
        discord.say("spoken to", discord.world.general, mention=True)
        discord.say("private")
        texts = [(await socket.receive_json())["d"]["content"] for _ in range(3)]
        assert texts == ["", f"<@{discord.world.bot}> spoken to", "private"]


async def identified(client: aiohttp.ClientSession, discord: FakeDiscord, **more: Any) -> tuple[Any, Any]:
    """A connection that has said who it is, and the first answer: READY's data, an op or a close code."""
    socket = await client.ws_connect(discord.gateway_url)
    assert (await socket.receive_json())["op"] == 10
    intents = GUILDS | GUILD_MESSAGES | DIRECT_MESSAGES
    await socket.send_json({"op": 2, "d": {"token": TOKEN, "intents": intents, **more}})
    frame = await socket.receive()
    if frame.type is aiohttp.WSMsgType.CLOSE:
        return socket, frame.data
    said = json.loads(frame.data)
    return socket, said["d"] if said["op"] == 0 else said["op"]


async def test_a_shard_gets_the_events_of_its_guilds(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    world = discord.world
    guilds = [world.add_guild(str(shard), shard=shard, of=3)["id"] for shard in range(3)]
    rooms = [world.add_channel(guild, "general") for guild in guilds]
    del world.guilds[world.guild["id"]]
    sockets: list[Any] = []
    for shard in (0, 1, 2, 2):
        socket, ready = await identified(client, discord, shard=[shard, 3])
        assert ready["shard"] == [shard, 3]
        assert [guild["id"] for guild in ready["guilds"]] == [guilds[shard]]
        assert (await socket.receive_json())["t"] == "GUILD_CREATE"
        sockets.append(socket)
    for shard, room in enumerate(rooms):
        discord.say(f"in {shard}", room)
    discord.say("private")
    heard = [(await socket.receive_json())["d"]["channel_id"] for socket in sockets]
    # Two with the same shard both get everything.
    assert heard == [*rooms, rooms[2]]
    assert "guild_id" not in (await sockets[0].receive_json())["d"]


async def test_identifies_that_are_refused(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    sharding = discord.world.sharding
    sharding.required = 2
    assert (await identified(client, discord))[1] == 4011
    assert (await identified(client, discord, shard=[0, 1]))[1] == 4011
    assert (await identified(client, discord, shard=[2, 2]))[1] == 4010
    sharding.identify_seconds, sharding.side_by_side = 60.0, 2
    for shard in (0, 1):
        assert (await identified(client, discord, shard=[shard, 4]))[1]["shard"] == [shard, 4]
    assert (await identified(client, discord, shard=[2, 4]))[1] == 9
    _, answer, _ = await call(client, discord, "GET", "/gateway/bot")
    limit = {"total": 1000, "remaining": 994, "reset_after": 14_400_000, "max_concurrency": 2}
    assert (answer["shards"], answer["session_start_limit"]) == (1, limit)


async def test_as_a_process_of_its_own(client: aiohttp.ClientSession) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.platforms.discord_server", "--channels", "3", "--no-limits"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout
        where: dict[str, str] = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
        root = where["cdn"]
        async with client.get(f"{root}/control/state") as response:
            state = await response.json()
        assert len(state["channels"]) == 3
        body = {"text": "hi", "channel": state["channels"][2], "mention": True}
        async with client.post(f"{root}/control/say", json=body) as response:
            said = await response.json()
        async with client.post(
            f"{where['api_base']}/channels/{said['channel']}/messages", json={"content": "a"}
        ) as sent:
            assert sent.status == 200
        async with client.get(f"{root}/control/state") as response:
            state = await response.json()
        assert [m["text"] for m in state["messages"]] == [f"<@{state['bot']}> hi", "a"]
        assert [(method, status) for method, _, _, status in state["calls"]] == [("POST", 200)]
        async with client.post(f"{root}/control/close") as response:
            assert response.status == 404
    finally:
        process.terminate()
        await process.wait()
