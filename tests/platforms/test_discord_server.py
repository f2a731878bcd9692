"""The fake Discord refuses, limits and forgets as the real one does; what tests rely on is tested here."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import aiohttp
import pytest

from tests.platforms.discord_calls import HEADERS, call
from tests.platforms.discord_gateway import DIRECT_MESSAGES, GUILD_MESSAGES, GUILDS
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_wire import Limits


async def test_who_may_do_what(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    said = discord.say("hi", discord.world.general)
    path = f"/channels/{discord.world.general}/messages/{said.id}"
    assert (await call(client, discord, "PATCH", path, {"content": "x"}))[1]["code"] == 50005
    assert (await call(client, discord, "GET", "/channels/5/messages"))[1]["code"] == 10003
    assert (await call(client, discord, "GET", f"/channels/{discord.world.general}/messages/5"))[1]["code"] == 10008
    async with aiohttp.ClientSession(headers={**HEADERS, "Authorization": "Bot other"}) as other:
        assert (await call(other, discord, "GET", "/users/@me"))[0] == 401


async def test_permissions_of_guilds_roles_and_channels(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    world = discord.world
    guild, room = world.guild["id"], world.general
    said = discord.say("hi", room)
    path = f"/channels/{room}/messages"
    reply = {"content": "x", "message_reference": {"message_id": said.id}}

    async def code(method: str, where: str, body: Any = None) -> int | None:
        status, answer, _ = await call(client, discord, method, where, body)
        return None if status < 300 else answer["code"]

    world.permissions.overwrite(room, guild, deny=May.READ_MESSAGE_HISTORY)
    assert await code("POST", path, reply) == 160002
    assert (await call(client, discord, "GET", path))[1] == []
    world.permissions.overwrite(room, guild, deny=May.SEND_MESSAGES | May.CREATE_PUBLIC_THREADS)
    assert await code("POST", path, {"content": "x"}) == 50013
    assert await code("POST", f"{path}/{said.id}/threads", {"name": "x"}) == 50013
    # What the bot's own role is allowed goes before what everybody is denied.
    world.permissions.overwrite(room, world.bot_role(guild), allow=May.SEND_MESSAGES)
    assert await code("POST", path, {"content": "x"}) is None
    assert await code("DELETE", f"{path}/{said.id}") == 50013
    assert await code("GET", f"{path}/{said.id}") is None
    world.permissions.overwrite(room, world.bot_role(guild), deny=May.READ_MESSAGE_HISTORY)
    assert await code("GET", f"{path}/{said.id}") == 50013
    world.permissions.overwrite(room, world.bot, deny=May.VIEW_CHANNEL, member=True)
    for method, where in (("POST", path), ("GET", path), ("POST", f"/channels/{room}/typing")):
        assert await code(method, where, {"content": "x"} if where == path and method == "POST" else None) == 50001


async def test_calls_are_checked_against_discords_description(
    client: aiohttp.ClientSession, discord: FakeDiscord
) -> None:
    path = f"/channels/{discord.world.general}/messages"
    route = "/channels/{channel_id}/messages"
    # Discord ignores what it does not know. The one who wrote that means something, though.
    assert (await call(client, discord, "POST", path, {"content": "x", "contents": "y"}))[0] == 200
    assert (await call(client, discord, "GET", f"{path}?limit=5&behind=1"))[0] == 200
    assert (await call(client, discord, "GET", f"{path}?limit=101"))[0] == 400
    assert (await call(client, discord, "GET", "/nowhere"))[0] == 404
    assert discord.pardon() == [
        f"POST {route}.contents: unknown field",
        f"GET {route} ?behind: unknown field",
        f"GET {route} ?limit: 101, must be 100 or fewer",
        "GET /nowhere: unknown route",
    ]
    with pytest.raises(AssertionError, match="called wrongly: GET /nowhere"):
        async with FakeDiscord() as other:
            await call(client, other, "GET", "/nowhere")


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


async def test_other_limits_of_a_channel(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    room = f"/channels/{discord.world.general}"
    said = [discord.world.post(discord.world.general, discord.world.bot, str(number)).id for number in range(6)]
    statuses = [(await call(client, discord, "DELETE", f"{room}/messages/{message}"))[0] for message in said]
    assert statuses == [204] * 5 + [429]
    typed = [await call(client, discord, "POST", f"{room}/typing") for _ in range(6)]
    assert [status for status, _, _ in typed] == [204] * 5 + [429]
    assert typed[0][2]["X-RateLimit-Bucket"] == "typing"


async def test_too_many_refusals_shut_the_address_out(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    discord.wire.limits = Limits(refused=3)
    discord.world.forbidden.add(discord.world.general)
    path = f"/channels/{discord.world.general}/messages"
    discord.fail("429 shared", times=2)
    for _ in range(5):
        status, _, headers = await call(client, discord, "POST", path, {"content": "x"})
        assert (status in (403, 429), "Via" in headers) == (True, True)
    async with client.get(discord.api_base + "/users/@me") as response:
        assert (response.status, response.content_type, "Via" in response.headers) == (429, "text/html", False)


async def test_the_limit_of_everything(client: aiohttp.ClientSession, discord: FakeDiscord) -> None:
    discord.wire.limits = Limits(everything=3)
    answers = [await call(client, discord, "GET", "/users/@me") for _ in range(4)]
    assert [status for status, _, _ in answers] == [200] * 3 + [429]
    assert answers[-1][1]["global"] is True
    assert answers[-1][2]["X-RateLimit-Scope"] == "global"
    made = discord.slash("chat", {}, discord.world.general)
    callback = f"/interactions/{made.id}/{made.token}/callback"
    assert (await call(client, discord, "POST", callback, {"type": 5}))[0] == 204


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
