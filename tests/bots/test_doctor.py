"""The doctor against the platforms' fakes and real servers: what is wrong is named, no secret is shown."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from bots import doctor
from bots.doctor import diagnose, report
from bots.finding import Finding
from bots.pressing import Presses
from bots.web_chat.adapter import WebAdapter
from bots.web_chat.redis_store import RedisWebStore
from core.conversation.history import History
from core.message import Incoming
from core.models.catalog import Catalog
from core.people.community import Community
from core.settings import Settings, WebSettings
from core.storage.client import Store
from core.storage.embedded import EmbeddedServer
from core.tasks import end
from tests.platforms.discord_server import TOKEN as DISCORD_TOKEN
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TOKEN as TELEGRAM_TOKEN
from tests.platforms.telegram_server import TelegramServer
from tests.platforms.valkey_servers import single
from tests.ports import free_port


class NoInbox:
    """For a web chat that nobody writes in."""

    async def accept(self, incoming: Sequence[Incoming]) -> None:
        raise AssertionError


async def found(data: Path, **sections: Any) -> dict[str, Finding]:
    """The findings by name. The web chat and the built-in model are off unless asked for."""
    values = {"data": data, "web": {"port": 0}, "local": {"model": "none"}, **sections}
    return {finding.name: finding for finding in await diagnose(Settings.model_validate(values))}


async def test_an_empty_installation_is_sound(tmp_path: Path) -> None:
    findings = await found(tmp_path, local={"model": "auto"})
    assert not [finding for finding in findings.values() if finding.ok is False]
    assert findings["Telegram"].ok is findings["Discord"].ok is None
    assert findings["database"].what.startswith("embedded, Valkey")
    assert findings["database file"].ok is True
    assert findings["database memory"].ok is True
    assert findings["built-in model"].what == "smollm2-135m"
    assert "parley models get" in findings["built-in model"].remedy


async def test_a_running_parley_is_looked_at_and_left_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        async with EmbeddedServer(tmp_path) as url:
            findings = await found(tmp_path, web={"port": port})
            assert findings["database"].what.startswith("embedded, running")
            assert findings["web chat"].ok is True
            client = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
            assert await client.ping()  # pyright: ignore[reportUnknownMemberType]
            await client.aclose()
        findings = await found(tmp_path, web={"port": port})
    assert findings["web chat"].ok is False
    assert str(port) in findings["web chat"].what
    assert "PARLEY_WEB_PORT" in findings["web chat"].remedy


async def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    findings = await found(tmp_path / "file")
    assert findings["data folder"].ok is False
    assert findings["database"].ok is False
    assert "PARLEY_DATA" in findings["data folder"].remedy


async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MIN_FREE_BYTES", 1 << 60)
    assert (await found(tmp_path))["disk"].ok is False


async def test_a_server_of_ones_own(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as url:
        client = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
        await client.config_set("appendonly", "no")  # pyright: ignore[reportUnknownMemberType]
        await client.config_set("maxmemory-policy", "allkeys-lru")  # pyright: ignore[reportUnknownMemberType]
        await client.aclose()
        findings = await found(tmp_path, storage={"redis_url": url})
    assert findings["database"].ok is True
    assert findings["database file"].ok is False
    assert "appendonly yes" in findings["database file"].remedy
    assert findings["database memory"].ok is False
    assert "noeviction" in findings["database memory"].remedy


async def test_a_server_that_anybody_may_read(tmp_path: Path) -> None:
    async with single(tmp_path, "--bind", "0.0.0.0", "--protected-mode", "no") as server:
        storage = {"redis_url": f"redis://127.0.0.1:{server.port}"}
        access = (await found(tmp_path, storage=storage))["database access"]
        assert access.ok is False
        assert "at every address of this machine" in access.what
        assert "requirepass" in access.remedy
        assert (await found(tmp_path, storage={**storage, "allow_open": True}))["database access"].ok is None


async def test_an_old_server_that_tells_little(tmp_path: Path) -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        facts = b"# Server\r\nredis_version:6.2.14\r\n"
        while line := await reader.readline():
            command = line.strip().upper()
            if command == b"INFO":
                writer.write(b"$%d\r\n%b\r\n" % (len(facts), facts))
            elif command == b"HELLO":
                writer.write(b"%1\r\n+proto\r\n:3\r\n")
            elif command == b"CONFIG":
                writer.write(b"-ERR unknown command\r\n")
            elif command == b"CLIENT":
                writer.write(b"+OK\r\n")
        writer.close()

    server = await asyncio.start_server(old, "127.0.0.1", 0)
    async with server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        findings = await found(tmp_path, storage={"redis_url": url})
    assert findings["database"].ok is False
    assert "6.2.14" in findings["database"].what
    assert findings["database file"].ok is findings["database memory"].ok is None


async def test_a_server_that_is_not_there_and_its_password(tmp_path: Path) -> None:
    findings = await found(tmp_path, storage={"redis_url": "redis://:hush-hush@127.0.0.1:9/0"})
    assert findings["database"].ok is False
    assert "hush-hush" not in report(findings.values())


async def test_telegram(tmp_path: Path) -> None:
    async with TelegramServer() as server:
        good: dict[str, Any] = {"token": TELEGRAM_TOKEN, "api_base": server.url}
        findings = await found(tmp_path, telegram=good)
        assert findings["Telegram"] == Finding("Telegram", True, "@parley_bot")
        assert findings["Telegram updates"].ok is True
        findings = await found(tmp_path, telegram={**good, "token": "1:wrong-and-secret"})
        assert findings["Telegram"].ok is False
        assert "TELEGRAM_TOKEN" in findings["Telegram"].remedy
        assert "secret" not in report(findings.values())
    findings = await found(tmp_path, telegram=good)
    assert findings["Telegram"].ok is False
    assert "TELEGRAM_API_BASE" in findings["Telegram"].remedy
    assert TELEGRAM_TOKEN not in report(findings.values())


@pytest.mark.parametrize(
    ("name", "ability", "on", "off", "remedy"),
    [
        ("groups", "can_join_groups", True, None, "/setjoingroups"),
        ("groups", "can_read_all_group_messages", True, True, "/setprivacy"),
        ("inline mode", "supports_inline_queries", True, None, "/setinline;"),
        ("topics", "has_topics_enabled", True, None, "threaded mode"),
    ],
)
async def test_what_is_switched_on_for_the_bot(
    valkey_url: str, tmp_path: Path, name: str, ability: str, on: bool | None, off: bool | None, remedy: str
) -> None:
    storage = {"redis_url": valkey_url}
    async with TelegramServer() as server:
        section = {"token": TELEGRAM_TOKEN, "api_base": server.url}
        server.me |= {"can_join_groups": True, ability: True}
        is_on = (await found(tmp_path, telegram=section, storage=storage))[f"Telegram {name}"]
        server.me[ability] = False
        is_off = (await found(tmp_path, telegram=section, storage=storage))[f"Telegram {name}"]
    assert (is_on.ok, is_off.ok) == (on, off)
    assert is_on.what != is_off.what
    assert remedy in is_off.remedy
    if ability == "can_read_all_group_messages":
        assert "mentions, replies to it and commands" in is_off.what
        assert "remove the bot from each group and add it again" in is_off.remedy


async def test_another_parley_at_the_port(store: Store, valkey_url: str, tmp_path: Path) -> None:
    web = WebSettings.model_validate({"port": free_port()})
    community, catalog = Community.of(Settings(), store), Catalog.of(Settings())
    presses = Presses(History(store, keep_days=1, max_messages=10), catalog, community, buttons=True)
    adapter = WebAdapter(web, RedisWebStore(store, keep_days=1, max_messages=10), list, community, catalog, presses)
    running = asyncio.create_task(adapter.run(NoInbox()))
    await asyncio.wait_for(adapter.ready(), 10)
    finding = (await found(tmp_path, web={"port": web.port}, storage={"redis_url": valkey_url}))["web chat"]
    await end([running])
    assert (finding.ok, finding.what) == (True, f"Parley is running there, at port {web.port}")


async def test_the_files_of_a_telegram_server_of_ones_own(tmp_path: Path) -> None:
    async with TelegramServer() as server:
        own: dict[str, Any] = {"token": TELEGRAM_TOKEN, "api_base": server.url, "local_server": True}
        assert (await found(tmp_path, telegram={**own, "local_files": str(tmp_path)}))["Telegram files"].ok is True
        missing = (await found(tmp_path, telegram={**own, "local_files": "/gone"}))["Telegram files"]
    assert (missing.ok, missing.what) == (False, "/gone cannot be read")
    assert "--dir" in missing.remedy


@pytest.mark.parametrize(
    ("info", "wanted", "ok", "words"),
    [
        ({"url": ""}, "", True, "polling"),
        ({"url": "https://else.example/x"}, "", False, "polling gets nothing"),
        ({"url": "https://mine.example/x"}, "https://mine.example", True, "webhook"),
        ({"url": "https://else.example/x"}, "https://mine.example", False, "another address"),
        ({"url": "", "last_error_message": "Connection refused"}, "https://mine.example", False, "Connection refused"),
    ],
)
async def test_telegram_webhook(tmp_path: Path, info: dict[str, Any], wanted: str, ok: bool, words: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        result = info if request.path.endswith("getWebhookInfo") else {"username": "some_bot"}
        return web.json_response({"ok": True, "result": result})

    async with serving(answer) as url:
        section = {"token": "1:x", "api_base": url, "webhook_url": wanted, "webhook_secret": "s"}
        finding = (await found(tmp_path, telegram=section))["Telegram updates"]
    assert finding.ok is ok
    assert words in finding.what


async def test_discord(tmp_path: Path) -> None:
    async with FakeDiscord() as server:
        good = {"token": DISCORD_TOKEN, "api_base": server.api_base}
        findings = await found(tmp_path, discord=good)
        assert findings["Discord"].ok is True
        assert findings["Discord intents"].ok is True
        assert findings["Discord connections"].what == "1000 of 1000 left today, 1 shard recommended"
        server.world.sharding.left, server.world.sharding.recommended = 20, 4
        findings = await found(tmp_path, discord={**good, "shards": 2})
        assert findings["Discord connections"].ok is False
        assert "new ones in 4.0 hours" in findings["Discord connections"].remedy
        server.world.sharding.left = 500
        findings = await found(tmp_path, discord={**good, "shard_range": "0/2"})
        assert findings["Discord connections"].ok is None
        assert "discord.shards" in findings["Discord connections"].remedy
        findings = await found(tmp_path, discord={**good, "token": "wrong-and-secret"})
    assert findings["Discord"].ok is False
    assert "DISCORD_TOKEN" in findings["Discord"].remedy
    assert "secret" not in report(findings.values())


async def test_discord_without_the_intent(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"id": "1", "username": "bot", "flags": 1 << 13})

    async with serving(answer) as url:
        findings = await found(tmp_path, discord={"token": "x", "api_base": url})
    assert findings["Discord"].ok is True
    assert findings["Discord intents"].ok is False
    assert "Message Content Intent" in findings["Discord intents"].remedy


async def test_providers(tmp_path: Path) -> None:
    async with OpenAIServer(models=("one", "two")) as server:
        rows = [{"name": "mine", "base_url": server.url, "api_key": "very-secret"}]
        models: list[dict[str, Any]] = [{"name": "one", "provider": "mine"}]
        findings = await found(tmp_path, providers=rows, models=models)
        assert findings["models of mine"] == Finding("models of mine", True, "one")
        models.append({"name": "three", "provider": "mine", "id": "3"})
        findings = await found(tmp_path, providers=rows, models=models)
    assert findings["models of mine"].ok is False
    assert "there is no 3" in findings["models of mine"].what
    assert "one, two" in findings["models of mine"].remedy
    findings = await found(tmp_path, providers=rows, models=models)
    assert findings["models of mine"].ok is False
    assert "very-secret" not in report(findings.values())


@pytest.mark.parametrize(
    ("status", "text", "ok", "words"),
    [(401, "", False, "key"), (404, "", None, ""), (200, "<html>", False, "URL"), (200, "[]", False, "URL")],
)
async def test_odd_providers(tmp_path: Path, status: int, text: str, ok: bool | None, words: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    async with serving(answer) as url:
        finding = (await found(tmp_path, providers=[{"name": "odd", "base_url": url}]))["models of odd"]
    assert finding.ok is ok
    assert words in finding.remedy


def test_the_report_reads_line_by_line() -> None:
    text = report([Finding("a", True, "fine"), Finding("b", False, "bad", "Mend it."), Finding("c", None, "off")])
    assert text == "ok     a: fine\nWRONG  b: bad\n         Mend it.\n-      c: off"


class serving:
    """``async with serving(handler) as url``: any path is answered by ``handler``."""

    def __init__(self, handler: Any) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
