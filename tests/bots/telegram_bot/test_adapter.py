"""The receiving side: what is acknowledged when, what is survived, and how it says what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import aiohttp
import pytest
from structlog.testing import capture_logs
from telegram.error import Conflict

from bots.telegram_bot import polling
from bots.telegram_bot.adapter import TelegramAdapter
from bots.telegram_bot.api import Api
from bots.telegram_bot.seen import Seen
from bots.telegram_bot.translate import UPDATES
from bots.telegram_bot.webhook import MAX_BODY, SECRET_HEADER
from core.errors import SettingsError
from core.message import CommandCall
from core.settings import TelegramSettings
from core.storage.client import Store
from core.storage.leases import Leases
from tests.bots.telegram_bot.receiving import Kept, Receivers, adapter_of, running, until
from tests.platforms.telegram_server import TOKEN, Fault, TelegramServer
from tests.ports import free_port


@pytest.fixture
def inbox() -> Kept:
    return Kept()


@pytest.fixture
def adapter(settings: TelegramSettings, api: Api, seen: Seen, store: Store) -> TelegramAdapter:
    return adapter_of(settings, api, seen, store, Leases(store, "one"))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bots.telegram_bot.insisting.FIRST_PAUSE", 0.02)


async def test_messages_come_in(server: TelegramServer, adapter: TelegramAdapter, inbox: Kept, seen: Seen) -> None:
    server.world.text(7, "while you were away")
    async with running(adapter, inbox):
        await until(lambda: inbox.texts)
        number = server.world.text(7, "now")
        await until(lambda: len(inbox.texts) == 2)
        await until(lambda: not server.world.pending)
    assert inbox.texts == ["while you were away", "now"]
    assert server.world.allowed == list(UPDATES)
    assert seen.highest("7") == number


async def test_acknowledged_only_when_accepted(server: TelegramServer, adapter: TelegramAdapter, inbox: Kept) -> None:
    async with running(adapter, inbox):
        inbox.gate.clear()
        await until(lambda: server.updates.polls == 2)
        server.world.text(7, "one")
        await asyncio.sleep(0.1)
        assert len(server.world.pending) == 1
        assert server.updates.polls == 2, "nothing is asked for while this one is not kept"
        inbox.gate.set()
        await until(lambda: not server.world.pending)
    assert inbox.texts == ["one"]


async def test_a_batch_is_handed_over_whole(server: TelegramServer, adapter: TelegramAdapter, inbox: Kept) -> None:
    for number in range(150):
        server.world.text(7, f"m{number}")
    async with running(adapter, inbox):
        await until(lambda: len(inbox.texts) == 150)
    assert [len(batch) for batch in inbox.batches] == [100, 50]
    assert inbox.texts == [f"m{number}" for number in range(150)]


async def test_stopped_before_it_was_accepted_it_comes_again(
    server: TelegramServer, receiver: Receivers, inbox: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.telegram_bot.polling.STOP_SECONDS", 0.1)
    async with running(receiver(), inbox):
        inbox.gate.clear()
        server.world.text(7, "one")
        await asyncio.sleep(0.05)
    inbox.gate.set()
    async with running(receiver(), inbox):
        await until(lambda: inbox.texts)
    assert inbox.texts == ["one"]


async def test_storage_away_for_a_while(server: TelegramServer, adapter: TelegramAdapter, inbox: Kept) -> None:
    async with running(adapter, inbox):
        inbox.closed = True
        server.world.text(7, "one")
        await until(lambda: inbox.refused >= 2)
        assert server.world.pending
        inbox.closed = False
        await until(lambda: not server.world.pending)
    assert inbox.texts == ["one"]


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.BAD_GATEWAY, Fault.RESET_BEFORE, Fault.HTML])
async def test_faults_are_survived(server: TelegramServer, adapter: TelegramAdapter, inbox: Kept, fault: Fault) -> None:
    server.fail("getMe", fault)
    server.fail("getUpdates", fault, times=2)
    with capture_logs() as logs:
        async with running(adapter, inbox):
            server.world.text(7, "hello")
            await until(lambda: inbox.texts)
    assert TOKEN not in str(logs)
    assert [row["event"] for row in logs].count("telegram: no connection") == 3


async def test_an_answer_lost_on_the_way_is_fetched_again(
    server: TelegramServer, adapter: TelegramAdapter, inbox: Kept
) -> None:
    server.world.text(7, "hello")
    server.fail("getUpdates", Fault.RESET_AFTER)
    async with running(adapter, inbox):
        await until(lambda: inbox.texts)
    assert inbox.texts == ["hello"]


async def test_a_dead_poll_is_noticed(
    server: TelegramServer, adapter: TelegramAdapter, inbox: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert polling.SILENCE_SECONDS < 60, "within a minute"
    monkeypatch.setattr("bots.telegram_bot.polling.SILENCE_SECONDS", 0.2)
    monkeypatch.setattr("bots.telegram_bot.polling.POLL_SECONDS", 0)
    server.fail("getUpdates", Fault.STALL)
    server.world.text(7, "hello")
    async with running(adapter, inbox):
        await until(lambda: inbox.texts)


async def test_flood_is_obeyed(server: TelegramServer, adapter: TelegramAdapter, inbox: Kept) -> None:
    server.fail("getMe", Fault.FLOOD, retry_after=1)
    started = time.monotonic()
    async with running(adapter, inbox):
        assert time.monotonic() - started >= 1


async def test_another_poller_is_told_in_words(
    server: TelegramServer, adapter: TelegramAdapter, api: Api, inbox: Kept
) -> None:
    async def another() -> None:
        while True:
            with contextlib.suppress(Conflict):
                await api.call("getupdates", {"timeout": 5})

    with capture_logs() as logs:
        async with running(adapter, inbox):
            polling = asyncio.create_task(another())
            await until(lambda: any("another program" in row["event"] for row in logs))
            polling.cancel()
            server.world.text(7, "hello")
            await until(lambda: inbox.texts)


async def test_wrong_token(server: TelegramServer, receiver: Receivers, inbox: Kept) -> None:
    wrong = TelegramSettings.model_validate({"token": "4242:wrong", "api_base": server.url})
    api = Api(wrong)
    try:
        with pytest.raises(SettingsError, match="TELEGRAM_TOKEN is wrong") as caught:
            await receiver(settings=wrong, api=api).run(inbox)
        assert "4242:wrong" not in str(caught.value)
    finally:
        await api.close()


async def test_a_token_refused_for_a_moment_and_for_good(
    server: TelegramServer, adapter: TelegramAdapter, inbox: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.telegram_bot.polling.POLL_SECONDS", 0)
    async with running(adapter, inbox) as task:
        server.token = "4242:revoked"
        await asyncio.sleep(0.05)
        server.token = TOKEN
        server.world.text(7, "hello")
        await until(lambda: inbox.texts)
        server.token = "4242:revoked"
        with pytest.raises(SettingsError, match="TELEGRAM_TOKEN is wrong"):
            await asyncio.wait_for(task, 10)


async def test_ready_means_connected(server: TelegramServer, adapter: TelegramAdapter, inbox: Kept) -> None:
    server.fail("getUpdates", Fault.SERVER_ERROR, times=3)
    async with running(adapter, inbox):
        assert server.updates.polls >= 1


async def test_a_webhook_left_behind_is_removed(server: TelegramServer, adapter: TelegramAdapter, inbox: Kept) -> None:
    server.updates.webhook = {"url": "https://old.example/hook"}
    server.world.text(7, "kept")
    async with running(adapter, inbox):
        await until(lambda: inbox.texts)
    assert server.named("deleteWebhook")[0].fields == {"drop_pending_updates": False}


async def test_pressed_buttons_are_answered_after_they_are_kept(
    server: TelegramServer, adapter: TelegramAdapter, inbox: Kept
) -> None:
    async with running(adapter, inbox):
        inbox.gate.clear()
        query = server.world.press(7, server.world.text(7, "x"), "help")
        await asyncio.sleep(0.05)
        assert server.world.queries[query] == {}
        inbox.gate.set()
        await until(lambda: server.world.queries[query])
    assert [v.name for v in inbox.all if isinstance(v, CommandCall)] == ["help"]


async def test_an_odd_update_costs_no_other(server: TelegramServer, adapter: TelegramAdapter, inbox: Kept) -> None:
    server.world.push("message", {"message_id": 5, "text": 17, "chat": {"id": 7}, "from": {"id": 7}})
    server.world.text(7, "hello")
    with capture_logs() as logs:
        async with running(adapter, inbox):
            await until(lambda: inbox.texts)
            await until(lambda: not server.world.pending)
    assert [row["event"] for row in logs].count("telegram: an update could not be read") == 1


async def test_the_token_is_in_no_log(
    server: TelegramServer,
    settings: TelegramSettings,
    receiver: Receivers,
    inbox: Kept,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        api = Api(settings)
        async with running(receiver(api=api), inbox):
            server.world.text(7, "hello")
            await until(lambda: inbox.texts)
        await api.close()
    assert TOKEN not in caplog.text


# ---- webhook


@pytest.fixture
def hooked(server: TelegramServer) -> TelegramSettings:
    port = free_port()
    return TelegramSettings.model_validate(
        {
            "token": server.token,
            "api_base": server.url,
            "webhook_url": f"http://127.0.0.1:{port}/telegram",
            "webhook_port": port,
            "webhook_secret": "s3cret-part",
        }
    )


async def test_webhook(server: TelegramServer, hooked: TelegramSettings, receiver: Receivers, inbox: Kept) -> None:
    async with running(receiver(settings=hooked), inbox):
        server.world.text(7, "one")
        query = server.world.press(7, 1, "help")
        await until(lambda: server.world.queries[query] and not server.world.pending)
        inbox.closed = True
        server.world.text(7, "two")
        await until(lambda: inbox.refused >= 2)
        assert server.world.pending, "not confirmed while storage is away"
        inbox.closed = False
        await until(lambda: not server.world.pending)
    assert inbox.texts == ["one", "two"]
    assert server.updates.polls == 0
    assert server.named("setWebhook")[0].fields["secret_token"] == "s3cret-part"


async def test_webhook_refuses(
    server: TelegramServer, hooked: TelegramSettings, receiver: Receivers, inbox: Kept
) -> None:
    good = {SECRET_HEADER: "s3cret-part"}
    update = b'{"update_id": 1, "message": {"message_id": 1, "chat": {"id": 7, "type": "private"}, "from": {"id": 7}}}'
    async with running(receiver(settings=hooked), inbox), aiohttp.ClientSession() as session:

        async def status(headers: dict[str, str], body: bytes, method: str = "POST") -> int:
            async with session.request(method, hooked.webhook_url, headers=headers, data=body) as answer:
                return answer.status

        assert await status({}, update) == 401
        assert await status({SECRET_HEADER: "wrong"}, update) == 401
        assert await status({SECRET_HEADER: "fälsch"}, update) == 401
        assert await status(good, update, "PUT") == 405
        assert await status(good, b"no json") == 400
        assert await status(good, b"[1]") == 400
        assert await status(good, b'{"update_id": "x"}') == 400
        assert await status(good, b" " * (MAX_BODY + 1)) == 413
        assert await status(good, update) == 200
    assert inbox.all == []
