"""What the fake takes and what it sends are what the Bot API's description says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.platforms import telegram_groups as groups
from tests.platforms import telegram_limits
from tests.platforms.telegram_inline import Inline, react
from tests.platforms.telegram_schema import CHOICES, FIELDS, NAMES, UPDATES, Upload, check_update, checked
from tests.platforms.telegram_server import USERNAME, TelegramServer
from tests.platforms.telegram_text import Json, Refusal
from tests.platforms.telegram_world import World

TO = {"chat_id": 7}
FILE = Upload("a.png", "image/png", b"x")
PRESS = {"text": "More", "callback_data": "more"}
ARTICLE: Json = {"type": "article", "id": "1", "title": "Ask", "input_message_content": {"message_text": "…"}}


def taken(method: str, **fields: Any) -> Json:
    out = checked(method, fields)
    telegram_limits.check(method, out)
    return out


def keyboard(*rows: list[Json]) -> Json:
    return {"reply_markup": {"inline_keyboard": rows and list(rows)}}


def test_every_type_that_is_named_is_known() -> None:
    simple = {"int", "float", "str", "bool", "file"}
    named = {kind for fields in FIELDS.values() for word in fields.values() for kind in word.rstrip("[]").split("|")}
    unknown = {kind for kind in named if kind[0] != "="} - simple - FIELDS.keys() - CHOICES.keys()
    assert unknown == set()
    assert {"sendRichMessage", "answerInlineQuery", "sendMediaGroup"} <= set(NAMES.values())
    assert {"message", "my_chat_member", "stopped_message_generation"} <= UPDATES


def test_what_the_server_makes_of_it() -> None:
    assert taken("sendMessage", chat_id="-100500", text="12") == {"chat_id": -100500, "text": "12"}
    assert taken("sendLocation", **TO, latitude=1, longitude=2.5)["latitude"] == 1.0
    album = [{"type": "photo", "media": "attach://one"}, {"type": "video", "media": "id-of-a-video"}]
    assert taken("sendMediaGroup", **TO, media=album, one=FILE) == {**TO, "media": album, "one": FILE}


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("sendMessage", {**TO}),
        ("sendMessage", {**TO, "text": "x", "shine": True}),
        ("sendMessage", {**TO, "text": ["x"]}),
        ("sendMessage", {**TO, "text": "x", "message_thread_id": True}),
        ("sendMessage", {**TO, "text": "x", "entities": {"type": "bold"}}),
        ("sendMessage", {**TO, "text": "x", "entities": [{"type": "bold", "offset": 0}]}),
        ("sendMessage", {**TO, "text": "x", "reply_parameters": {"message_id": 1, "shine": True}}),
        ("sendMessage", {**TO, "text": "x", "reply_parameters": {"message_id": 1, "quote": "x" * 1025}}),
        ("sendMessage", {**TO, "text": "x", **keyboard([{**PRESS, "shine": True}])}),
        ("sendMessage", {**TO, "text": "x", **keyboard([{"text": "nothing happens"}])}),
        ("sendMessage", {**TO, "text": "x", **keyboard([{"text": "", "callback_data": "x"}])}),
        ("sendMessage", {**TO, "text": "x", **keyboard([{"text": "x", "callback_data": "x" * 65}])}),
        ("sendMessage", {**TO, "text": "x", **keyboard([PRESS] * 9)}),
        ("sendMessage", {**TO, "text": "x", **keyboard(*[[PRESS] * 8] * 13)}),
        ("sendPhoto", {**TO, "photo": FILE, "another": FILE}),
        ("sendMediaGroup", {**TO, "media": [{"type": "photo", "media": "attach://one"}], "one": FILE}),
        ("sendMediaGroup", {**TO, "media": [{"type": "photo", "media": "id"}] * 11}),
        ("sendMediaGroup", {**TO, "media": [{"type": "photo", "media": "a"}, {"type": "document", "media": "b"}]}),
        ("sendMediaGroup", {**TO, "media": [{"type": "animation", "media": "id"}] * 2}),
        ("editMessageText", {"text": "x"}),
        ("editMessageText", {**TO, "message_id": 1}),
        ("editMessageText", {**TO, "message_id": 1, "inline_message_id": "x", "text": "x"}),
        ("sendRichMessage", {**TO, "rich_message": {"html": "x", "markdown": "x"}}),
        ("sendRichMessageDraft", {**TO, "draft_id": 0, "rich_message": {"html": "x"}}),
        ("sendChatAction", {**TO, "action": "dance"}),
        ("answerCallbackQuery", {"callback_query_id": "1", "text": "x" * 201}),
        ("setMyCommands", {"commands": [{"command": "Help", "description": "x"}]}),
        ("setMyCommands", {"commands": [{"command": "help", "description": "x" * 257}]}),
        ("setMyCommands", {"commands": [{"command": f"c{n}", "description": "x"} for n in range(101)]}),
        ("setMyCommands", {"commands": [], "scope": {"type": "chat"}}),
        ("setMyCommands", {"commands": [], "language_code": "zh-hans"}),
        ("setMyShortDescription", {"short_description": "x" * 121}),
        ("answerInlineQuery", {"inline_query_id": "1", "results": [ARTICLE] * 2}),
        ("answerInlineQuery", {"inline_query_id": "1", "results": [{**ARTICLE, "id": str(n)} for n in range(51)]}),
        ("answerInlineQuery", {"inline_query_id": "1", "results": [{**ARTICLE, "input_message_content": {"x": 1}}]}),
        ("answerInlineQuery", {"inline_query_id": "1", "results": [], "button": {"text": "x", "start_parameter": "?"}}),
        ("getUpdates", {"limit": 101}),
        ("getUpdates", {"allowed_updates": ["message", "deleted_message"]}),
        ("setWebhook", {"url": "http://bots.example/"}),
    ],
)
def test_what_is_refused(method: str, fields: Json) -> None:
    with pytest.raises(Refusal) as caught:
        taken(method, **fields)
    assert caught.value.violation
    assert caught.value.code == 400


async def test_a_test_fails_at_its_end_for_a_violation_that_nobody_pardoned() -> None:
    with pytest.raises(AssertionError, match="sendMessage: it is wrong"):
        async with TelegramServer() as server:
            server.violations.append("sendMessage: it is wrong")
    async with TelegramServer() as server:
        server.violations.append("sendMessage: it is wrong")
        assert server.pardon() == ["sendMessage: it is wrong"]


def test_no_play_makes_up_fields() -> None:
    world = World({"id": 4242, "is_bot": True, "first_name": "Parley", "username": USERNAME})
    world.text(7, "fields of later versions are meant", glow_from_the_future=True)
    with pytest.raises(AssertionError, match=r"Message\.glow"):
        world.text(7, "hi", glow=True)
    with pytest.raises(AssertionError, match=r"Chat\.glow"):
        world.text(7, "hi", external_reply={"chat": {"id": 5, "type": "private", "glow": 1}})


def test_plays_send_what_the_real_server_sends() -> None:
    world = World({"id": 4242, "is_bot": True, "first_name": "Parley", "username": USERNAME})
    world.group(-100500, forum=True)
    world.group(-55)
    world.channel(-100900)
    question = world.text(7, "hello @parley_bot")
    topic = world.topic(-100500, "Openings")
    world.text(-100500, "/help", thread=topic, reply_to=topic)
    world.edit(7, question, "hello again")
    world.forwarded(-100500, -100900, world.text(-100900, "news"))
    world.album(7, "two", "pictures")
    world.document(7, b"data", "a.txt", "text/plain", "read", size=10)
    world.voice(7)
    world.sticker(7)
    world.press(7, question, "stop")
    inline = Inline(world)
    query = inline.type(7, "why?")
    inline.queries[query].answer = {"results": [{**ARTICLE, **keyboard([PRESS])}]}
    inline.press(inline.send(query), "more", user=7)
    react(world, 7, question, "👍")
    groups.member(world, -55, "left", "member")
    groups.member(world, -55, "member", "administrator")
    groups.member(world, -55, "administrator", "kicked")
    groups.move(world, -55, -100777)
    for update in world.pending.values():
        check_update(update)


def test_a_rich_message_is_one_of_the_real_servers() -> None:
    world = World({"id": 4242, "is_bot": True, "first_name": "Parley", "username": USERNAME})
    blocks = [{"type": "paragraph", "text": ["see ", {"type": "bold", "text": "this"}]}]
    question = world.text(7, "", rich_message={"blocks": blocks})
    check_update(world.pending[min(world.pending)])
    assert question == 1
