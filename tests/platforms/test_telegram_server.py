"""The fake against the stock client, and the rules that other tests lean on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from telegram import Bot, LinkPreviewOptions, MessageEntity
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter, TimedOut
from telegram.request import HTTPXRequest

from tests.platforms.telegram_server import TOKEN, Fault, TelegramServer


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def bot(server: TelegramServer) -> AsyncIterator[Bot]:
    async with client(server) as bot:
        yield bot


@pytest.fixture(autouse=True)
def no_deprecated_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the client warns at every 429."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")


def client(server: TelegramServer, token: str = TOKEN) -> Bot:
    request, polling = (HTTPXRequest(read_timeout=2, httpx_kwargs={"trust_env": False}) for _ in range(2))
    return Bot(
        token,
        base_url=f"{server.url}/bot",
        base_file_url=f"{server.url}/file/bot",
        request=request,
        get_updates_request=polling,
    )


async def test_a_talk(server: TelegramServer, bot: Bot) -> None:
    server.world.text(7, "hi 😀 @parley_bot /help")
    (update,) = await bot.get_updates(timeout=1)
    assert update.message
    assert [entity.type for entity in update.message.entities] == ["mention", "bot_command"]
    assert update.message.parse_entity(update.message.entities[0]) == "@parley_bot"
    bold = MessageEntity("bold", 3, 4)
    sent = await bot.send_message(
        7, "😀 bold", entities=[bold], link_preview_options=LinkPreviewOptions(is_disabled=True)
    )
    assert sent.entities == (bold,)
    await bot.edit_message_text("new", 7, sent.message_id)
    assert server.world.texts(7) == ["new"]
    assert await bot.get_updates(offset=update.update_id + 1) == ()
    assert server.world.pending == {}


async def test_files(server: TelegramServer, bot: Bot) -> None:
    server.world.chat(7)
    sent = await bot.send_document(7, b"data", filename="a.txt", caption="c")
    assert sent.document
    file = await bot.get_file(sent.document.file_id)
    assert bytes(await file.download_as_bytearray()) == b"data"


@pytest.mark.parametrize(
    ("text", "entity", "why"),
    [
        ("x" * 4097, None, "Message is too long"),
        ("  \n ", None, "Text must be non-empty"),
        ("😀", ("bold", 1, 1), "in a middle of a utf-16 symbol"),
        ("abc", ("bold", 2, 2), "after the end of the text"),
        ("abc", ("sparkle", 0, 1), "unsupported type"),
    ],
)
async def test_refusals(
    server: TelegramServer, bot: Bot, text: str, entity: tuple[str, int, int] | None, why: str
) -> None:
    server.world.text(7, "hello")
    with pytest.raises(BadRequest, match=why):
        await bot.send_message(7, text, entities=[MessageEntity(*entity)] if entity else None)
    assert server.world.texts(7) == []
    assert why.lower() in "".join(server.pardon()).lower()


async def test_limit_counts_characters_after_entities(server: TelegramServer, bot: Bot) -> None:
    server.world.text(7, "hello")
    await bot.send_message(7, "😀" * 4096)


async def test_ids_have_one_counter_for_private_chats_and_one_for_each_supergroup(server: TelegramServer) -> None:
    world = server.world
    world.group(-55)
    world.group(-100500)
    world.group(-100600)
    assert [world.text(chat, "x") for chat in (7, 8, -55, 7, -100500, -100600, -100500)] == [1, 2, 3, 4, 1, 1, 2]


async def test_edits(server: TelegramServer, bot: Bot) -> None:
    theirs = server.world.text(7, "hello")
    sent = await bot.send_message(7, "x")
    for number, text, why in ((theirs, "y", "can't be edited"), (99, "y", "not found"), (sent.id, "x", "not modified")):
        with pytest.raises(BadRequest, match=why):
            await bot.edit_message_text(text, 7, number)
    with pytest.raises(BadRequest, match="no caption"):
        await bot.edit_message_caption(7, sent.id, caption="x")


async def test_who_may_call(server: TelegramServer, bot: Bot) -> None:
    with pytest.raises(InvalidToken):
        await client(server, "4242:other").__aenter__()
    async with aiohttp.ClientSession() as session:
        for path, body, status in (
            ("sendmessage", {"chat_id": 1, "text": "x"}, 400),
            ("getMagic", {}, 404),
            ("sendMessage", {"chat_id": 1, "text": "x", "shine": True}, 400),
            ("sendMessage", {"chat_id": 1}, 400),
            ("sendMessage", {"chat_id": [1], "text": "x"}, 400),
            ("getme", {}, 200),
        ):
            async with session.post(f"{server.url}/bot{TOKEN}/{path}", json=body) as answer:
                assert answer.status == status, path
    assert len(server.pardon()) == 4


async def test_only_one_poller(server: TelegramServer, bot: Bot) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=5))
    while not server.updates.polls:
        await asyncio.sleep(0.01)
    async with client(server) as second:
        await second.get_updates(timeout=0)
        with pytest.raises(Conflict, match="terminated by other"):
            await first


async def test_what_is_not_confirmed_comes_again(server: TelegramServer, bot: Bot) -> None:
    for text in "abc":
        server.world.text(7, text)
    first = await bot.get_updates(limit=2)
    assert [u.message.text for u in first if u.message] == ["a", "b"]
    again = await bot.get_updates(limit=2)
    assert [u.update_id for u in again] == [first[0].update_id], "one at a time for whoever asks the same at once"
    (last,) = await bot.get_updates(offset=first[1].update_id + 1)
    assert last.message
    assert last.message.text == "c"
    assert [u.update_id for u in await bot.get_updates(offset=first[0].update_id)] == [last.update_id], "gone for good"


async def test_asking_the_same_again_and_again_is_slow(server: TelegramServer, bot: Bot) -> None:
    server.updates.repeat_seconds = 0.3
    await bot.get_updates(offset=5)
    began = time.monotonic()
    await bot.get_updates(offset=5)
    assert time.monotonic() - began >= 0.3


async def test_a_webhook_ends_a_poll_and_tells_no_secret(server: TelegramServer, bot: Bot) -> None:
    polling = asyncio.create_task(bot.get_updates(timeout=5))
    while not server.updates.polled:
        await asyncio.sleep(0.01)
    with pytest.raises(BadRequest, match="unallowed"):
        await bot.set_webhook("https://bots.example/", secret_token="not allowed")
    assert len(server.pardon()) == 1
    await bot.set_webhook("https://bots.example/", secret_token="s3cret", allowed_updates=["message"])
    with pytest.raises(Conflict, match="setWebhook"):
        await polling
    with pytest.raises(Conflict, match="webhook is active"):
        await bot.get_updates()
    info = await bot.get_webhook_info()
    assert (info.url, info.allowed_updates) == ("https://bots.example/", ("message",))
    assert "s3cret" not in str(info)


async def test_webhook_calls_keep_the_order_of_a_chat_only(server: TelegramServer, bot: Bot) -> None:
    taken: list[str] = []
    slow = asyncio.Event()

    async def take(request: web.BaseRequest) -> web.Response:
        text = json.loads(await request.read())["message"]["text"]
        if text == "7a":
            await slow.wait()
        if text == "8a" and "8a" not in taken:
            taken.append(text)
            return web.Response(status=503)
        taken.append(text)
        return web.Response()

    runner = web.ServerRunner(web.Server(take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.updates.behind = [f"http://127.0.0.1:{runner.addresses[0][1]}/"]
    for chat, text in ((7, "7a"), (7, "7b"), (8, "8a"), (8, "8b")):
        server.world.text(chat, text)
    await bot.set_webhook("https://bots.example/")
    async with asyncio.timeout(10):
        while len(server.world.pending) > 2:
            await asyncio.sleep(0.01)
        assert taken == ["8a", "8a", "8b"], "until it is taken, and meanwhile nothing else of that chat"
        slow.set()
        while server.world.pending:
            await asyncio.sleep(0.01)
    assert taken[3:] == ["7a", "7b"]
    await runner.cleanup()


async def test_drafts_are_for_private_chats(server: TelegramServer, bot: Bot) -> None:
    server.world.chat(7)
    server.world.group(-100500)
    await bot.send_message_draft(7, 5, "Once")
    assert server.world.preview(7) == "Once"
    await bot.send_message(7, "Once upon a time")
    assert server.world.preview(7) == ""
    with pytest.raises(BadRequest, match="private"):
        await bot.send_message_draft(-100500, 5, "Once")
    with pytest.raises(BadRequest, match="non-zero"):
        await bot.send_message_draft(7, 0, "Once")
    assert server.pardon() == ["sendMessageDraft: Bad Request: draft identifier must be non-zero"]


async def test_flood_limits(server: TelegramServer, bot: Bot) -> None:
    server.methods.flood.on = True
    for chat in range(1, 12):
        server.world.chat(chat)
    for number in range(3):
        await bot.send_message(1, str(number))
    with pytest.raises(RetryAfter):
        await bot.send_message(1, "x")
    server.methods.flood.chat_burst = 100
    for _ in range(27):
        await bot.send_message(2, "x")
    with pytest.raises(RetryAfter):
        await bot.send_message(3, "x")


async def test_a_chat_that_is_throttled(server: TelegramServer, bot: Bot) -> None:
    for chat in (1, 2):
        server.world.chat(chat)
    server.methods.flood.throttle(1, 30.0, told=5)
    with pytest.raises(RetryAfter) as caught:
        await bot.send_chat_action(1, "typing")
    assert caught.value.retry_after == timedelta(seconds=5)
    await bot.send_message(2, "x")
    server.methods.flood.throttle(1, 0.0)
    await bot.send_message(1, "x")


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.SERVER_ERROR, NetworkError, False),
        (Fault.RESET_BEFORE, NetworkError, False),
        (Fault.RESET_AFTER, NetworkError, True),
    ],
)
async def test_faults(server: TelegramServer, bot: Bot, fault: Fault, error: type[Exception], done: bool) -> None:
    server.world.chat(7)
    server.fail("sendMessage", fault)
    with pytest.raises(error):
        await bot.send_message(7, "x")
    assert bool(server.world.texts(7)) is done


async def test_stall(server: TelegramServer, bot: Bot) -> None:
    server.world.chat(7)
    server.fail("sendMessage", Fault.STALL)
    with pytest.raises(TimedOut):
        await bot.send_message(7, "x", read_timeout=0.1)


async def test_blocked(server: TelegramServer, bot: Bot) -> None:
    server.world.chat(7).blocked = True
    with pytest.raises(Forbidden):
        await bot.send_message(7, "x")


async def test_control(server: TelegramServer, bot: Bot) -> None:
    async with aiohttp.ClientSession() as session:

        async def control(what: str, **body: object) -> dict[str, Any]:
            async with session.post(f"{server.url}/control/{what}", json=body) as answer:
                assert answer.status == 200
                return await answer.json()

        assert (await control("text", chat=7, text="hi"))["id"] == 1
        await control("config", flood=True, latency=0.01)
        assert server.methods.flood.on
        await bot.send_message(7, "answer")
        state = (await control("state"))["chats"]
        messages = state["7"]["messages"]
        assert [(m["by_bot"], m["text"]) for m in messages] == [(False, "hi"), (True, "answer")]
        await control("fail", method="getMe", fault="500")
        with pytest.raises(NetworkError):
            await bot.get_me()
        await control("reset")
        assert server.world.chats == {}
