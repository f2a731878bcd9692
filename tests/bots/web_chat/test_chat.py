from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

import aiohttp
import pytest

from bots.adapter import Slot, Target
from bots.web_chat.redis_store import RedisWebStore
from core.errors import OutboundError, OutboundFault
from core.message import CommandCall, Deletion, Message
from core.parts import Ending
from core.storage.client import Store
from tests.bots.web_chat.world import Script, Visitor, World, found, message_ids, new_ticket, open_world


class Stream:
    """One conversation's events, as a browser reads them."""

    def __init__(self, visitor: Visitor, conversation: str, after: int | str = 0) -> None:
        self.path = f"/c/{conversation}/events?after={after}"
        self.visitor = visitor
        self.last_id = ""
        self.seen: dict[str, str] = {}
        """Message id -> its newest HTML."""

    async def until(self, text: str, last_event_id: str = "") -> str:
        """Reads until an event holds the text; that event's HTML."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        async with self.visitor.http.get(self.path, headers=headers) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            data: list[str] = []
            async with asyncio.timeout(10):
                async for raw in answer.content:
                    line = raw.decode().rstrip("\n")
                    if line.startswith("id: "):
                        self.last_id = line[4:]
                    elif line.startswith("data: "):
                        data.append(line[6:])
                    elif not line and data:
                        html, data = "\n".join(data), []
                        for name in message_ids(html):
                            self.seen[name] = html
                        if text in html:
                            return html
        raise AssertionError(f"the stream ended before {text!r}")


async def test_a_question_reaches_the_inbox_and_its_answer_the_page(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("What is **two**?")
    asked = world.inbox.came[0]
    assert isinstance(asked, Message)
    assert asked.text == "What is **two**?"
    assert asked.private
    assert asked.author.language == "en"
    assert asked.conversation.bot == "web"
    assert asked.conversation.chat.endswith(f"-{conversation}")
    _, html = await owner.get(f"/c/{conversation}")
    question, answer = message_ids(html)
    assert question == asked.id
    assert answer.startswith(question)
    assert "<p>What is **two**?</p>" in html
    assert "You said: What is <strong>two</strong>?" in html
    assert "<title>What is **two**? · Parley</title>" in html


async def test_an_answer_streams_to_every_tab(world: World, owner: Visitor) -> None:
    script = Script(pieces=("First ", "second ", "third"), hold_after=1)
    world.inbox.scripts = [script]
    _, html = await owner.send("Go")
    conversation = found(r'name="conversation" value="([0-9a-f]+)"', html)
    tabs = [Stream(owner, conversation), Stream(owner, conversation)]
    for tab in tabs:
        html = await tab.until("First")
        assert 'data-state="streaming"' in html
        assert 'aria-busy="true"' in html
    script.go.set()
    for tab in tabs:
        html = await tab.until("First second third")
        assert "aria-busy" not in await tab.until('data-state="done"')


async def test_reload_in_the_middle_of_an_answer_shows_it_and_goes_on(world: World, owner: Visitor) -> None:
    script = Script(pieces=("Half ", "whole"), hold_after=1)
    world.inbox.scripts = [script]
    _, html = await owner.send("Go")
    conversation = found(r'name="conversation" value="([0-9a-f]+)"', html)
    await Stream(owner, conversation).until("Half")
    _, html = await owner.get(f"/c/{conversation}")
    assert "Half" in html
    after = found(r"events\?after=(\d+)", html)
    script.go.set()
    stream = Stream(owner, conversation, after)
    await stream.until("Half whole")
    # Only what is new since the page was made: the question is not sent again.
    assert not any(name.endswith("q") for name in stream.seen)


async def test_a_stream_that_was_cut_goes_on_after_what_it_had(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("one")
    stream = Stream(owner, conversation)
    await stream.until("You said: one")
    await stream.until('data-state="done"')
    cut_at = stream.last_id
    await owner.ask("two", conversation)
    again = Stream(owner, conversation)
    await again.until("You said: two", last_event_id=cut_at)
    assert all("You said: one" not in html for html in again.seen.values())


async def test_everything_is_there_after_a_restart(store: Store) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with open_world(store) as world, world.browser() as owner:
        port = world.adapter.port
        owner.http._cookie_jar = jar  # pyright: ignore[reportPrivateUsage]
        await owner.enter()
        conversation = await owner.ask("Keep this")
    async with (
        open_world(store, port=port) as world,
        aiohttp.ClientSession(world.url, cookie_jar=jar) as http,
        http.get(f"/c/{conversation}") as answer,
    ):
        assert answer.status == 200
        assert "You said: Keep this" in await answer.text()


async def test_the_same_form_twice_is_one_message(world: World, owner: Visitor) -> None:
    ticket = new_ticket()
    first = await owner.ask("Once", ticket=ticket)
    _, html = await owner.send("Once", ticket=ticket)
    assert found(r'name="conversation" value="([0-9a-f]+)"', html) == first
    await world.inbox.settled()
    assert len(world.inbox.came) == 1
    assert len(message_ids((await owner.get(f"/c/{first}"))[1])) == 2


async def test_what_could_not_be_handed_over_is_marked_and_sent_again(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("first")
    world.inbox.is_away = True
    ticket = new_ticket()
    status, text = await owner.send("second", conversation, ticket)
    assert status == 503
    assert "Nothing was lost" in text
    _, html = await owner.get(f"/c/{conversation}")
    assert "Not sent yet." in html
    world.inbox.is_away = False
    status, _ = await owner.post(found(r'hx-post="(/c/[^"]+/again)"', html))
    assert status == 204
    await world.inbox.settled()
    _, html = await owner.get(f"/c/{conversation}")
    assert "You said: second" in html
    assert "Not sent yet." not in html
    # The browser's own second try, with the text that was still in the box, is the same message.
    assert (await owner.send("second", conversation, ticket))[0] == 200
    assert len(world.inbox.came) == 2


async def test_stop_ends_an_answer(world: World, owner: Visitor) -> None:
    world.inbox.scripts = [Script(pieces=("Long ", "story"), hold_after=1)]
    _, html = await owner.send("Tell")
    conversation = found(r'name="conversation" value="([0-9a-f]+)"', html)
    await Stream(owner, conversation).until("Long")
    assert (await owner.post(f"/c/{conversation}/commands/stop"))[0] == 204
    html = await Stream(owner, conversation).until('data-state="done"')
    assert "<em>Stopped.</em>" in html
    assert "story" not in html
    # That it worked is seen; the command's own notice would only repeat it.
    assert "notice" not in (await owner.get(f"/c/{conversation}"))[1]


async def test_an_edited_question_is_answered_anew_in_place(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("One")
    await owner.ask("Two", conversation)
    _, html = await owner.get(f"/c/{conversation}")
    question = message_ids(html)[0]
    status, form = await owner.get(f"/c/{conversation}/messages/{question}/edit")
    assert status == 200
    assert ">One</textarea>" in form
    status, html = await owner.post(f"/c/{conversation}/messages/{question}", {"text": "Uno"})
    assert status == 200
    await world.inbox.settled()
    edited = world.inbox.came[-1]
    assert isinstance(edited, Message)
    assert edited.edited
    assert edited.id == question
    assert edited.update != question
    _, html = await owner.get(f"/c/{conversation}")
    assert len(message_ids(html)) == 4
    assert message_ids(html)[1].startswith(question)
    assert html.index("You said: Uno") < html.index("You said: Two")
    assert "You said: One" not in html
    assert ">edited<" in html


async def test_regenerate_replaces_the_answer(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("Joke")
    answer = message_ids((await owner.get(f"/c/{conversation}"))[1])[1]
    world.inbox.scripts = [Script(pieces=("Another one",))]
    assert (await owner.post(f"/c/{conversation}/commands/regenerate", {"message": answer}))[0] == 204
    await world.inbox.settled()
    call = world.inbox.came[-1]
    assert isinstance(call, CommandCall)
    assert (call.name, call.reply_to) == ("regenerate", answer)
    _, html = await owner.get(f"/c/{conversation}")
    assert message_ids(html)[1:] == [answer]
    assert "Another one" in html


async def test_an_answer_cut_by_length_can_be_continued(world: World, owner: Visitor) -> None:
    world.inbox.scripts = [Script(pieces=("Part one",), ending=Ending.LENGTH), Script(pieces=("part two",))]
    conversation = await owner.ask("Long one")
    _, html = await owner.get(f"/c/{conversation}")
    assert f"/c/{conversation}/commands/continue" in html
    answer = message_ids(html)[1]
    assert (await owner.post(f"/c/{conversation}/commands/continue", {"message": answer}))[0] == 204
    await world.inbox.settled()
    _, html = await owner.get(f"/c/{conversation}")
    assert html.index("Part one") < html.index("part two")
    assert 'class="message answer"' in html[html.index("part two") - 900 :]


async def test_the_model_of_a_conversation_can_be_chosen(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("Hi")
    assert (await owner.post(f"/c/{conversation}/commands/model", {"model": "large-2"}))[0] == 204
    call = world.inbox.came[-1]
    assert isinstance(call, CommandCall)
    assert call.options == {"text": "large-2"}
    _, html = await owner.get(f"/c/{conversation}")
    assert '<option value="large-2" selected>' in html
    assert 'class="message notice"' in html
    assert "now uses <strong>large-2</strong>" in html


async def test_a_model_chosen_before_the_first_question_comes_first(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("Hi", model="large-2")
    call, question = world.inbox.came
    assert isinstance(call, CommandCall)
    assert call.options == {"text": "large-2"}
    assert isinstance(question, Message)
    assert '<option value="large-2" selected>' in (await owner.get(f"/c/{conversation}"))[1]


async def test_typed_commands_are_commands(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("/model large-2")
    call = world.inbox.came[-1]
    assert isinstance(call, CommandCall)
    assert (call.name, dict(call.options)) == ("model", {"text": "large-2"})
    assert '<option value="large-2" selected>' in (await owner.get(f"/c/{conversation}"))[1]
    for text in ("/etc/passwd is what?", "/unknown", "//"):
        await owner.ask(text, conversation)
        assert isinstance(world.inbox.came[-1], Message)


async def test_a_deleted_conversation_is_forgotten_and_gone(store: Store, world: World, owner: Visitor) -> None:
    kept, gone = await owner.ask("Keep"), await owner.ask("Drop")
    names = message_ids((await owner.get(f"/c/{gone}"))[1])
    async with owner.http.delete(f"/c/{gone}", headers=owner.signed) as answer:
        assert answer.status == 204
        assert answer.headers["HX-Redirect"] == "/"
    deletion = world.inbox.came[-1]
    assert isinstance(deletion, Deletion)
    assert list(deletion.ids) == names
    assert (await owner.get(f"/c/{gone}"))[0] == 404
    _, html = await owner.get("/")
    assert f"/c/{kept}" in html
    assert f"/c/{gone}" not in html
    # An answer that comes late is refused, and brings nothing back.
    outbound, target = world.inbox.outbound, Target(deletion.conversation, True, names[0], asked=names[0])
    with pytest.raises(OutboundError) as refused:
        await outbound.send(target, outbound.format("late"), Slot("turn", 0))
    assert refused.value.fault is OutboundFault.FORBIDDEN
    assert [key async for key in store.redis.scan_iter(f"*{gone}*")] == []


async def test_pictures_come_with_the_question(world: World, owner: Visitor) -> None:
    data = b"\x89PNG\r\n\x1a\n" + b"picture" * 100
    headers = {**owner.signed, "X-File-Name": "K%C3%A4tzchen.png"}
    async with owner.http.post("/uploads", data=data, headers=headers) as answer:
        chip = await answer.text()
    assert "Kätzchen.png" in chip
    blob = found(r'value="([0-9a-f]+)"', chip)
    conversation = await owner.ask("", picture=blob)
    asked = world.inbox.came[0]
    assert isinstance(asked, Message)
    assert asked.text == ""
    (attachment,) = asked.attachments
    assert (attachment.name, attachment.mime, attachment.size) == ("Kätzchen.png", "image/png", len(data))
    assert await world.inbox.outbound.fetch(asked.conversation, attachment, 10_000) == data
    _, html = await owner.get(f"/c/{conversation}")
    assert f'<img src="/blobs/{blob}" alt="Kätzchen.png"' in html
    assert "<title>Kätzchen.png · Parley</title>" in html


@pytest.mark.parametrize(("description", "alt"), [("a <fox>", "a &lt;fox&gt;"), ("", "picture.png")])
async def test_pictures_of_answers_are_described(world: World, owner: Visitor, description: str, alt: str) -> None:
    conversation = await owner.ask("draw")
    asked, outbound = world.inbox.came[0], world.inbox.outbound
    assert isinstance(asked, Message)
    target, nothing = Target(asked.conversation, True, asked.id, asked=asked.id), outbound.format("")
    slot = Slot("turn", 1)
    await outbound.send_file(target, "picture.png", "image/png", b"x", nothing, slot, description=description)
    _, html = await owner.get(f"/c/{conversation}")
    assert f'alt="{alt}" loading="lazy"' in html


async def test_old_messages_are_fetched_on_demand(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("number 0")
    for number in range(1, 35):
        await owner.ask(f"number {number}", conversation)
    _, html = await owner.get(f"/c/{conversation}")
    assert "You said: number 34" in html
    assert "You said: number 4<" not in html
    shown = message_ids(html)
    status, earlier = await owner.get(found(r'hx-get="(/c/[^"]+/earlier[^"]+)"', html))
    assert status == 200
    assert message_ids(earlier) + shown == sorted(message_ids(earlier) + shown)
    assert len(message_ids(earlier) + shown) == 70
    assert 'id="earlier" hidden' in earlier


async def test_the_page_speaks_the_visitors_language(world: World) -> None:
    async with world.browser("fr, zh-CN;q=0.9, en;q=0.2") as visitor:
        status, html = await visitor.get("/")
        assert status == 401
        assert '<html lang="zh-Hans">' in html
        assert "一次性链接" in html
        await visitor.enter()
        await visitor.ask("你好")
        asked = world.inbox.came[0]
        assert isinstance(asked, Message)
        assert asked.author.language == "zh_Hans"
        assert "新对话" in (await visitor.get("/"))[1]


async def test_sign_out_ends_this_browsers_visit(world: World, owner: Visitor) -> None:
    assert (await owner.post("/leave"))[0] == 204
    assert (await owner.get("/"))[0] == 401


async def test_odd_text_is_taken(world: World, owner: Visitor) -> None:
    conversation = await owner.ask("a\0b")
    asked = world.inbox.came[0]
    assert isinstance(asked, Message)
    assert asked.text == "a\ufffdb"
    await owner.ask("x" * 100_000, conversation)
    await owner.ask("line one\r\nline two\rdata: x", conversation)
    assert "line one" in await Stream(owner, conversation).until("line one")


async def test_it_stops_within_a_second_with_open_streams(store: Store) -> None:
    async with open_world(store) as world, world.browser() as owner:
        await owner.enter()
        conversation = await owner.ask("hi")
        streams = [await owner.http.get(f"/c/{conversation}/events?after=0") for _ in range(5)]
        for stream in streams:
            await stream.content.readline()
        before = time.monotonic()
        world.running.cancel()
        await asyncio.wait([world.running])
        # A bound on waiting for something that would otherwise last for ever, not a measurement.
        assert time.monotonic() - before < 5
        assert world.running.cancelled()
        for stream in streams:
            stream.close()


async def test_signal_handlers_are_left_alone(store: Store) -> None:
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in signals]
    async with open_world(store):
        assert [signal.getsignal(number) for number in signals] == before


async def test_a_browser_hears_again_after_redis_was_away(store: Store, world: World, owner: Visitor) -> None:
    conversation = await owner.ask("before")
    stream = Stream(owner, conversation)
    reading = asyncio.create_task(stream.until("You said: after"))
    await asyncio.sleep(0.1)
    await store.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await owner.ask("after", conversation)
    await reading


async def test_lists_leave_out_what_is_too_old(store: Store, world: World, owner: Visitor) -> None:
    conversation = await owner.ask("old")
    user = world.inbox.came[0].conversation.chat.partition("-")[0]
    await store.redis.zadd(f"parley:web:{{{user}}}:conversations", {conversation: time.time() - 31 * 86400})
    assert f"/c/{conversation}" not in (await owner.get("/"))[1]


async def test_every_key_ends_by_itself(store: Store, owner: Visitor) -> None:
    await owner.post("/uploads", b"\x89PNG\r\n\x1a\n")
    await owner.post("/invitations")
    await owner.ask("hi", model="large-2")
    keys = [key async for key in store.redis.scan_iter("*")]
    assert len(keys) > 8
    assert all(key.startswith("parley:web:") for key in keys)
    assert all([await store.redis.ttl(key) > 0 for key in keys])


async def test_messages_of_a_conversation_are_bounded(store: Store) -> None:
    web = RedisWebStore(store, keep_days=1, max_messages=6)
    async with open_world(store, store=web) as world, world.browser() as owner:
        await owner.enter()
        conversation = await owner.ask("n 0")
        for number in range(1, 6):
            await owner.ask(f"n {number}", conversation)
        _, html = await owner.get(f"/c/{conversation}")
        assert len(message_ids(html)) == 6
        assert "You said: n 5" in html


def test_nothing_of_the_web_is_loaded_by_its_outbound() -> None:
    """A worker without the web chat delivers to it: it must not pay for the server."""
    code = (
        "import sys, bots.web_chat.outbound, bots.web_chat.redis_store;"
        "print([m for m in ('starlette', 'uvicorn', 'jinja2', 'markdown_it', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
