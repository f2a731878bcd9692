"""The same small conversation over every way to run Redis: cluster, Sentinels, TLS with the least rights."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.jobs import Job, Jobs
from core.loading import load
from core.storage.client import Store
from tests.end_to_end.running import ROOT, TelegramChat, until
from tests.end_to_end.web_page import web_page
from tests.platforms import valkey_servers
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TelegramServer
from tests.platforms.valkey_servers import Server
from tests.ports import free_port
from tests.scale.fleet import Fleet

PASSWORD = "p@ss/w?rd%"
USER = "parley:p%40ss%2Fw%3Frd%25"


@dataclass
class Redis:
    """What Parley is told of its Redis: with the least rights, as docs/operations.md gives them."""

    variables: dict[str, str]


@asynccontextmanager
async def cluster(folder: Path) -> AsyncGenerator[Redis]:
    async with valkey_servers.cluster(folder) as servers, watched(servers.masters, "+cluster|slots"):
        yield Redis({"REDIS_URL": servers.url.replace("://", f"://{USER}@")})


@asynccontextmanager
async def sentinel(folder: Path) -> AsyncGenerator[Redis]:
    async with valkey_servers.sentinel(folder) as servers, watched(servers.servers, "+role"):
        yield Redis({"REDIS_URL": servers.url.replace("://", f"://{USER}@")})


@asynccontextmanager
async def guarded(folder: Path) -> AsyncGenerator[Redis]:
    """Over TLS both ways."""
    async with (
        valkey_servers.single(folder / "server") as server,
        valkey_servers.tls_front(server.port, folder) as front,
        watched([server]),
    ):
        yield Redis(
            {
                "REDIS_URL": f"rediss://{USER}@localhost:{front.port}",
                "PARLEY__STORAGE__TLS_CA": str(front.ca),
                "PARLEY__STORAGE__TLS_CERTIFICATE": str(front.client),
            }
        )


@asynccontextmanager
async def watched(servers: Sequence[Server], *more: str) -> AsyncGenerator[None]:
    """Gives the servers the user that the manual describes, and looks whether it ever lacked a right."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    found = re.search(r"^ACL SETUSER parley .*$", text, re.M)
    assert found
    for server in servers:
        await server.call(*found.group().replace("PASSWORD", PASSWORD).split(), *more)
    yield
    for server in servers:
        denied = [(entry["reason"], entry["context"], entry["object"]) for entry in await server.call("ACL", "LOG")]
        # The job library tries to read a stream of any name, to see what the server can do.
        assert [entry for entry in denied if not re.fullmatch("[0-9a-f]{32}", entry[2])] == []


@asynccontextmanager
async def town(folder: Path, redis: Redis) -> AsyncGenerator[Fleet]:
    """A receiver and a worker over that Redis."""
    async with TelegramServer() as telegram, FakeDiscord() as discord, OpenAIServer() as models:
        store = Store(load(folder, redis.variables).storage.address(redis.variables["REDIS_URL"]))
        running = Fleet(folder, redis.variables["REDIS_URL"], telegram, discord, models, store)
        try:
            web = {"PARLEY_WEB_PORT": str(free_port())}
            await asyncio.gather(
                running.start("receiver", "receive", "telegram", "discord", "web", **redis.variables, **web),
                running.start("worker", "work", **redis.variables, **web),
            )
            yield running
        finally:
            await asyncio.gather(*(p.stop() for p in running.processes.values() if p.process is not None))
            await store.close()


def reply(body: dict[str, Any]) -> str:
    return f"re {len(body['messages'])}"


@pytest.mark.parametrize("topology", [cluster, sentinel, guarded])
async def test_a_conversation_and_a_job(tmp_path: Path, topology: Any) -> None:
    async with topology(tmp_path / "redis") as redis, town(tmp_path, redis) as place:
        place.models.reply = reply
        telegram, discord = place.telegram_chat(), place.discord_chat()
        async with web_page(place.processes["receiver"]) as page:
            chats = telegram, discord, page
            for chat in chats:
                chat.say("hello")
            for chat in chats:
                await until(lambda chat=chat: chat.shown == ["re 2"], "the first answer")
            for chat in chats:
                chat.say("and then?")
            for chat in chats:
                await until(lambda chat=chat: chat.shown == ["re 2", "re 4"], "the second answer")
            telegram.say("/new")
            await until(lambda: len(telegram.shown) == 3, "a new conversation")
            assert page.shown == await page.read_anew()
        await done_by_a_job(place.store)
        assert place.discord.violations == []
        lines = [event for parley in place.processes.values() for event in parley.events]
        assert [event for event in lines if event["level"] in {"warning", "error"}] == []


async def done_by_a_job(store: Store) -> None:
    done = asyncio.Event()

    async def work(argument: str) -> None:
        done.set()

    jobs = Jobs(store, [Job("paint", "images", work)], {"images": 1})
    await jobs.enqueue("paint", "one", "a")
    await asyncio.wait_for(done.wait(), 20)
    await jobs.close()
    assert [key async for key in store.redis.scan_iter("streaq:*:task:data:*")] == []


async def test_a_master_that_falls_away_delays_and_no_more(tmp_path: Path) -> None:
    """First by an operator's hand, then by its death."""
    async with (
        valkey_servers.sentinel(tmp_path / "redis") as servers,
        town(tmp_path, Redis({"REDIS_URL": servers.url})) as place,
    ):
        place.models.reply = reply
        chat = place.telegram_chat()
        chat.say("before")
        await until(lambda: chat.shown == ["re 2"], "the first answer")
        chat.say("meanwhile")
        await servers.fail_over()
        await until(lambda: chat.shown == ["re 2", "re 4"], "an answer of the new master")
        await servers.is_followed()
        (await servers.master()).kill()
        chat.say("and now?")
        await until(lambda: chat.shown == ["re 2", "re 4", "re 6"], "an answer after its death")
        await replies(chat)
        await done_by_a_job(place.store)


async def replies(chat: TelegramChat) -> None:
    """Each question has one answer; nothing comes twice."""
    await asyncio.sleep(2.0)
    assert chat.shown == ["re 2", "re 4", "re 6"]


async def test_no_script_and_no_pipeline_crosses_slots() -> None:
    """What is tested with one server is done on a cluster as well."""
    folders = ("tests/core/conversation", "tests/core/storage", "tests/core/test_jobs.py", "tests/bots/web_chat")
    # About the embedded server, and about what a single server is told to do.
    but = "not embedded and not cluster and not reach"
    command = (sys.executable, "-m", "pytest", "-q", "--topology", "cluster", "-k", but, *folders)
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    output, _ = await running.communicate()
    assert running.returncode == 0, output.decode()[-5000:]
