"""Many calls over one connection, to a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from core.storage.client import Store
from core.storage.line import Line


def line_to(path: Path, seconds: float = 5.0) -> Line:
    return Line(lambda: UnixDomainSocketConnection(path=str(path), socket_timeout=None, decode_responses=True), seconds)


async def test_everybody_gets_the_own_reply(store: Store, valkey_socket: Path) -> None:
    line = line_to(valkey_socket)
    replies = await asyncio.gather(*(line.call("ECHO", f"é{number}") for number in range(500)))
    assert replies == [f"é{number}" for number in range(500)]
    await line.close()


async def test_a_refusal_is_told_to_whom_it_concerns(store: Store, valkey_socket: Path) -> None:
    line = line_to(valkey_socket)
    await line.call("SET", "text", "a")
    calls = (line.call("GET", "text"), line.call("INCR", "text"), line.call("GET", "text"))
    first, refused, last = await asyncio.gather(*calls, return_exceptions=True)
    assert (first, last) == ("a", "a")
    assert isinstance(refused, ResponseError)
    await line.close()


async def test_who_gives_up_waiting_disturbs_nobody(store: Store, valkey_socket: Path) -> None:
    line = line_to(valkey_socket)
    await line.call("PING")
    given_up = asyncio.create_task(line.call("ECHO", "a"))
    following = asyncio.create_task(line.call("ECHO", "b"))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await following == "b"
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await line.close()


async def test_what_cannot_be_written_shifts_no_reply(store: Store, valkey_socket: Path) -> None:
    line = line_to(valkey_socket)
    await line.call("PING")
    with pytest.raises(UnicodeEncodeError):
        await line.call("ECHO", "\ud83d")
    assert await asyncio.gather(*(line.call("ECHO", text) for text in "abc")) == ["a", "b", "c"]
    await line.close()


async def test_a_broken_connection_is_told_to_all_and_made_anew(store: Store, valkey_socket: Path) -> None:
    line = line_to(valkey_socket)
    number = await line.call("CLIENT", "ID")
    waiting = [asyncio.create_task(line.call("BLPOP", f"nothing{n}", 4)) for n in range(3)]
    await asyncio.sleep(0.05)
    await store.redis.execute_command("CLIENT", "KILL", "ID", number)
    for failed in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(failed, RedisConnectionError)
    assert await line.call("PING") == "PONG"
    await line.close()


async def test_a_reply_that_does_not_come_breaks_the_line(store: Store, valkey_socket: Path) -> None:
    line = line_to(valkey_socket, 0.2)
    with pytest.raises(RedisTimeoutError):
        await line.call("BLPOP", "nothing", 4)
    assert await line.call("ECHO", "a") == "a"
    await line.close()


async def test_no_server_is_an_error_of_the_connection() -> None:
    line = line_to(Path("/nowhere.sock"))
    with pytest.raises(RedisConnectionError):
        await line.call("PING")
    await line.close()
